select book.id
from bookpost.users u
cross join bookpost.track_book(
  title => $2, carrier => $3, tracking_number => $4, app_book_id => $5, owner => u.id
) book
where u.app_user_id = $1

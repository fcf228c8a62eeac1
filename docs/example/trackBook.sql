select id from bookpost.track_book(
  title => $2, carrier => $3, tracking_number => $4, app_book_id => $5,
  owner => (select id from bookpost.users where app_user_id = $1)
)

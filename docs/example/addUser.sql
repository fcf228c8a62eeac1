insert into bookpost.users (app_user_id, name, email, time_zone)
values ($1, $2, $3, 'Europe/London')
on conflict (app_user_id) do update set name = excluded.name, email = excluded.email

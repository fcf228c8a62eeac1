alter role bookpost_authenticator login password 'a long one'

grant bookpost_worker to my_app

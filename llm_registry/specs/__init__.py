"""What the settings say about models: chains of roles, addresses, keys, proxies. Contacts no server."""

"""What the settings say about models: chains of roles, addresses, keys, proxies. No server is asked."""

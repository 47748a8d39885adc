GUARDS = []

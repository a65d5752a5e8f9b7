"""Small programs as their hosts start them: servers, notebooks, test runners."""

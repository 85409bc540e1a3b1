"""The proxy: routes requests by parameters, and logs every answer before it is sent."""

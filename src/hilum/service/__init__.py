"""hilum as a service: durable jobs, a web page with REST, a node in the network.

`records` keeps what people did and who may do it, `jobs` carries a study from its
arrival to its documents through any crash, `web` is the page and the REST API.
"""

from pyinfra.operations import server

for number in range(10):
    server.shell(name=f"command {number}", commands=["/bin/true"])

from pyinfra import host
from pyinfra.operations import files

for item in range(100):
    files.template(name=f"file {item}", src=f"{host.data.source}/pyinfra.j2", dest=f"{host.data.target}/f{item}",
                   mode="644", item=item)

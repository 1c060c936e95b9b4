from pyinfra import host
from pyinfra.operations import files

files.put(src=f"{host.data.source}/big", dest=f"{host.data.target}/big")

from pyinfra import host
from pyinfra.operations import files

files.sync(src=f"{host.data.source}/tree", dest=host.data.target)

from pyinfra import host
from pyinfra.operations import files

for item in range(100):
    files.put(name=f"file {item}", src=f"{host.data.source}/files/f{item}", dest=f"{host.data.target}/f{item}", mode="644")

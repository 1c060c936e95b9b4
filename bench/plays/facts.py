from pyinfra import host
from pyinfra.facts import hardware, server

for fact in (server.Hostname, server.Kernel, server.KernelVersion, server.Arch, server.LinuxDistribution, server.Users,
             server.Groups, server.Mounts, hardware.Cpus, hardware.Memory, hardware.NetworkDevices):
    host.get_fact(fact)

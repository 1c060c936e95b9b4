//! The tables' columns and which column holds which attribute of which kind of object.

const TABLES: &[(&str, &str)] = &[
    (
        "bootparams",
        "node,kernel,initrd,kcmdline,addkcmdline,dhcpstatements,adddhcpstatements,comments,disable",
    ),
    ("chain", "node,currstate,currchain,chain,ondiscover,comments,disable"),
    ("hosts", "node,ip,hostnames,otherinterfaces,comments,disable"),
    ("ipmi", "node,bmc,bmcport,taggedvlan,bmcid,username,password,comments,disable"),
    (
        "linuximage",
        "imagename,template,boottarget,addkcmdline,pkglist,pkgdir,otherpkglist,otherpkgdir,exlist,postinstall,\
         rootimgdir,kerneldir,nodebootif,otherifce,netdrivers,kernelver,krpmver,permission,dump,crashkernelsize,\
         partitionfile,driverupdatesrc,comments,disable",
    ),
    ("mac", "node,interface,mac,comments,disable"),
    (
        "networks",
        "netname,net,mask,mgtifname,gateway,dhcpserver,tftpserver,nameservers,ntpservers,logservers,dynamicrange,\
         staticrange,staticrangeincrement,nodehostname,ddnsdomain,vlanid,domain,mtu,comments,disable",
    ),
    ("nodegroup", "groupname,grouptype,members,membergroups,wherevals,comments,disable"),
    (
        "nodehm",
        "node,power,mgt,cons,termserver,termport,conserver,serialport,serialspeed,serialflow,getmac,cmdmapping,\
         consoleondemand,consoleenabled,comments,disable",
    ),
    (
        "nodelist",
        "node,groups,status,statustime,appstatus,appstatustime,primarysn,hidden,updatestatus,updatestatustime,\
         zonename,comments,disable",
    ),
    (
        "noderes",
        "node,servicenode,netboot,tftpserver,tftpdir,nfsserver,monserver,nfsdir,installnic,primarynic,discoverynics,\
         cmdinterface,xcatmaster,current_osimage,next_osimage,nimserver,routenames,nameservers,proxydhcp,syslog,\
         comments,disable",
    ),
    ("nodetype", "node,os,arch,profile,provmethod,supportedarchs,nodetype,comments,disable"),
    ("openbmc", "node,bmc,consport,taggedvlan,username,password,comments,disable"),
    ("osdistro", "osdistroname,basename,majorversion,minorversion,arch,type,dirpaths,comments,disable"),
    (
        "osimage",
        "imagename,groups,profile,imagetype,description,provmethod,rootfstype,nfsrootopts,osdistroname,osupdatename,\
         cfmdir,osname,osvers,osarch,synclists,postscripts,postbootscripts,serverrole,isdeletable,kitcomponents,\
         environvar,comments,disable",
    ),
    ("passwd", "key,username,password,cryptmethod,authdomain,comments,disable"),
    ("policy", "priority,name,host,commands,noderange,parameters,time,rule,comments,disable"),
    ("postscripts", "node,postscripts,postbootscripts,comments,disable"),
    ("ppc", "node,hcp,id,pprofile,parent,nodetype,supernode,sfp,comments,disable"),
    ("ppchcp", "hcp,username,password,comments,disable"),
    ("prescripts", "node,begin,end,comments,disable"),
    ("routes", "routename,net,mask,gateway,ifname,comments,disable"),
    (
        "servicenode",
        "node,nameserver,dhcpserver,tftpserver,nfsserver,conserver,monserver,ldapserver,ntpserver,ftpserver,nimserver,\
         ipforward,dhcpinterfaces,proxydhcp,comments,disable",
    ),
    ("site", "key,value,comments,disable"),
    (
        "vm",
        "node,mgr,host,migrationdest,storage,storagemodel,storagecache,storageformat,cfgstore,memory,cpus,nics,\
         nicmodel,bootorder,clockoffset,virtflags,master,vncport,textconsole,powerstate,beacon,datacenter,cluster,\
         guestostype,othersettings,physlots,vidmodel,vidproto,vidpassword,comments,disable",
    ),
    ("vpd", "node,serial,mtm,side,asset,uuid,comments,disable"),
];

/// Returns the columns of a table, comma separated.
pub(super) fn columns(table: &str) -> Option<&'static str> {
    TABLES.iter().find(|(name, _)| *name == table).map(|(_, columns)| *columns)
}

/// Returns the names of all tables.
pub(super) fn tables() -> impl Iterator<Item = &'static str> {
    TABLES.iter().map(|(name, _)| *name)
}

/// Is a kind of object of the `*def` commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Node,
    Group,
    Osimage,
    Network,
    Osdistro,
    Policy,
    Route,
    Site,
}

impl Kind {
    pub fn parse(word: &str) -> Option<Kind> {
        Some(match word {
            "node" => Kind::Node,
            "group" => Kind::Group,
            "osimage" => Kind::Osimage,
            "network" => Kind::Network,
            "osdistro" => Kind::Osdistro,
            "policy" => Kind::Policy,
            "route" => Kind::Route,
            "site" => Kind::Site,
            _ => return None,
        })
    }

    pub fn word(self) -> &'static str {
        match self {
            Kind::Node => "node",
            Kind::Group => "group",
            Kind::Osimage => "osimage",
            Kind::Network => "network",
            Kind::Osdistro => "osdistro",
            Kind::Policy => "policy",
            Kind::Route => "route",
            Kind::Site => "site",
        }
    }

    /// Returns the table that lists the objects, with its key column.
    pub fn key(self) -> (&'static str, &'static str) {
        match self {
            Kind::Node => ("nodelist", "node"),
            Kind::Group => ("nodegroup", "groupname"),
            Kind::Osimage => ("osimage", "imagename"),
            Kind::Network => ("networks", "netname"),
            Kind::Osdistro => ("osdistro", "osdistroname"),
            Kind::Policy => ("policy", "priority"),
            Kind::Route => ("routes", "routename"),
            Kind::Site => ("site", "key"),
        }
    }
}

/// Is the home of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub attribute: &'static str,
    pub table: &'static str,
    pub column: &'static str,
}

const fn place(attribute: &'static str, table: &'static str, column: &'static str) -> Place {
    Place { attribute, table, column }
}

/// Attributes of nodes whose column is named otherwise.
const RENAMED: &[Place] = &[
    place("bmcpassword", "ipmi", "password"),
    place("bmcusername", "ipmi", "username"),
    place("hwtype", "ppc", "nodetype"),
    place("password", "ppchcp", "password"),
    place("setupconserver", "servicenode", "conserver"),
    place("setupdhcp", "servicenode", "dhcpserver"),
    place("setupftp", "servicenode", "ftpserver"),
    place("setupipforward", "servicenode", "ipforward"),
    place("setupldap", "servicenode", "ldapserver"),
    place("setupnameserver", "servicenode", "nameserver"),
    place("setupnfs", "servicenode", "nfsserver"),
    place("setupnim", "servicenode", "nimserver"),
    place("setupntp", "servicenode", "ntpserver"),
    place("setupproxydhcp", "servicenode", "proxydhcp"),
    place("setuptftp", "servicenode", "tftpserver"),
    place("supportproxydhcp", "noderes", "proxydhcp"),
    place("usercomment", "nodelist", "comments"),
    place("username", "ppchcp", "username"),
    place("vmhost", "vm", "host"),
    place("vmmemory", "vm", "memory"),
    place("vmcpus", "vm", "cpus"),
    place("vmnics", "vm", "nics"),
    place("vmstorage", "vm", "storage"),
];

/// Columns that are an attribute of the same name.
const SAME: &[(&str, &str)] = &[
    ("bootparams", "kernel,initrd,kcmdline,addkcmdline"),
    ("chain", "currstate,currchain,chain,ondiscover"),
    ("hosts", "ip,hostnames,otherinterfaces"),
    ("ipmi", "bmc,bmcport"),
    ("mac", "interface,mac"),
    (
        "nodehm",
        "power,mgt,cons,termserver,termport,conserver,serialport,serialspeed,serialflow,getmac,cmdmapping,\
         consoleondemand,consoleenabled",
    ),
    (
        "nodelist",
        "groups,status,statustime,appstatus,appstatustime,primarysn,hidden,updatestatus,updatestatustime,zonename",
    ),
    (
        "noderes",
        "servicenode,netboot,tftpserver,tftpdir,nfsserver,monserver,nfsdir,installnic,primarynic,xcatmaster,\
         nimserver,routenames,nameservers,syslog",
    ),
    ("nodetype", "os,arch,profile,provmethod,supportedarchs,nodetype"),
    ("postscripts", "postscripts,postbootscripts"),
    ("ppc", "hcp,id,pprofile,parent,supernode,sfp"),
    ("servicenode", "dhcpinterfaces"),
    ("vpd", "serial,mtm,side,asset,uuid"),
];

/// Returns the attributes of a node. `mgt` decides which controller's table holds the address and login.
pub(super) fn node_places(mgt: Option<&str>) -> Vec<Place> {
    let mut all: Vec<Place> = RENAMED.to_vec();
    for (table, names) in SAME {
        all.extend(names.split(',').map(|name| place(name, table, name)));
    }
    if mgt == Some("openbmc") {
        for place in all.iter_mut().filter(|place| place.table == "ipmi") {
            place.table = "openbmc";
        }
        all.retain(|place| columns(place.table).is_some_and(|c| c.split(',').any(|c| c == place.column)));
    }
    all
}

/// Returns every table that holds rows of nodes, with its key column.
pub(super) fn node_tables() -> Vec<(&'static str, &'static str)> {
    let mut all: Vec<(&'static str, &'static str)> = TABLES
        .iter()
        .filter(|(_, columns)| columns.starts_with("node,"))
        .map(|(name, _)| (*name, "node"))
        .collect();
    all.push(("ppchcp", "hcp"));
    all
}

/// Returns the attributes of any other kind of object.
pub(super) fn places(kind: Kind) -> Vec<Place> {
    let tables: &[&'static str] = match kind {
        Kind::Node => return node_places(None),
        Kind::Group => {
            let mut all = node_places(None);
            all.retain(|place| place.table != "nodelist" || place.attribute == "usercomment");
            for name in ["grouptype", "members", "membergroups", "wherevals"] {
                all.push(place(name, "nodegroup", name));
            }
            return all;
        }
        Kind::Osimage => &["osimage", "linuximage"],
        Kind::Network => &["networks"],
        Kind::Osdistro => &["osdistro"],
        Kind::Policy => &["policy"],
        Kind::Route => &["routes"],
        Kind::Site => &[],
    };
    let mut all: Vec<Place> = Vec::new();
    for table in tables {
        for column in columns(table).unwrap_or_default().split(',') {
            let attribute = if column == "comments" { "usercomment" } else { column };
            let taken = all.iter().any(|place| place.attribute == attribute);
            if column != kind.key().1 && column != "disable" && !taken {
                all.push(place(attribute, table, column));
            }
        }
    }
    all
}

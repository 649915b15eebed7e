//! The kernel's command line, its parameters and modules: what overrules the config, and what the OS would continue
//! without.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, closest};
use crate::line::Line;
use crate::plan::cluster::Class;
use crate::profile::{Profile, Settings, check_parameter};
use crate::target::Target;
use crate::yaml::Field;
use std::collections::HashSet;
use std::sync::LazyLock;

/// Keys of the config that remuda decides, or that a profile has another place for; with that place. The OS reads any key
/// on the command line, and merges it over the config (rancher/os, config/cmdline).
const DECIDED: [(&str, &str); 16] = [
    ("cc", "write it in the profile, or remove it"),
    ("rancher.cloud_init", "`media: {config: …}` says where a machine gets its config"),
    ("rancher.docker", "use `docker: {…}`; remuda decides `bip` and what else pods rely on"),
    ("rancher.environment", "use `environment: {…}`"),
    ("rancher.hostname", "a node's name is its host name"),
    ("rancher.modules", "use `modules: […]`"),
    ("rancher.network", "use `network: {…}` and the node's `address`, `interface`, `interfaces` and `dhcp`"),
    ("rancher.preload_wait", "remove it: nodes wait for their images"),
    ("rancher.registry_auths", "use `images: {login: {…}}`"),
    ("rancher.services", "use `services: {…}`"),
    ("rancher.services_include", "use `services: {…}`"),
    ("rancher.ssh", "use `pki: {ssh_host_keys: true}`"),
    ("rancher.state", "use `disk: /dev/…`"),
    ("rancher.sysctl", "use `sysctl: {…}`"),
    ("rancher.system_docker", "use `images: {mirror: …, insecure: […]}`"),
    ("rancher.write_files", "use `files: {…}`"),
];

/// What keeps the OS from starting, or its programs from what they need: the parameter, what the kernel makes of it, and
/// what that does to a node.
const BREAKING: [(&str, &str, &str); 3] = [
    (
        "--",
        "the kernel hands all that follows `--` to init",
        "the OS wouldn't see the parameters that remuda adds after it: the node wouldn't find its config or its disk",
    ),
    ("rdinit", "the kernel starts the program of `rdinit` instead of the OS", "the node would start nothing of its config"),
    (
        "cgroup_disable",
        "`cgroup_disable` takes cgroups from the kernel",
        "the kubelet exits without cpu, memory, cpuset and pids: no pod would run",
    ),
];

/// The longest command line that the kernel reads (COMMAND_LINE_SIZE of x86 and arm64, without its end).
const LONGEST: usize = 2047;

/// Parameters that overrule what remuda decides, and more of them than the kernel reads.
pub(crate) fn check_args(settings: &Settings, profile: &Profile, target: &Target, found: &mut Diagnostics) {
    for arg in settings.kernel_args.iter() {
        let key = arg.0.split('=').next().unwrap_or_default();
        let is_within = |decided: &str| key.strip_prefix(decided).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        if let Some((_, help)) = DECIDED.iter().find(|(decided, _)| is_within(decided)) {
            found.push(
                Diagnostic::new(Code::DecidedKernelArg, arg.span, format!("the kernel parameter `{key}` overrules the node's config"))
                    .why("the OS merges it over the config: the node would differ from what its config says, and from what other nodes expect")
                    .help(*help),
            );
        } else if let Some((_, what, why)) = BREAKING.iter().find(|(breaking, ..)| *breaking == key) {
            found.push(Diagnostic::new(Code::DecidedKernelArg, arg.span, *what).why(*why).help("remove it"));
        } else if !profile.network.nodes.v6.is_absent() && matches!(arg.0.as_str(), "ipv6.disable=1" | "ipv6.disable_ipv6=1") {
            found.push(
                Diagnostic::new(Code::DecidedKernelArg, arg.span, format!("`{}` turns IPv6 off, and `network` has it", arg.0))
                    .why("nodes would have one address: flannel and the kubelet wait for the other one")
                    .help("remove it"),
            );
        } else if let Some(span) = arg.span {
            check_parameter(&arg.0, span, target, found);
        }
    }
    let own: usize = settings.kernel_args.values().map(|arg| arg.0.len() + 1).sum();
    let url = profile.media.url.value().map_or(0, |url| url.0.len() + 64);
    let rest = 400
        + url
        + profile.network.nameservers.values().map(|server| server.0.to_string().len() + 1).sum::<usize>()
        + settings.disk.value().map_or(0, |disk| disk.0.len());
    if own + rest > LONGEST {
        found.push(
            Diagnostic::new(
                Code::TooLarge,
                settings.kernel_args.iter().next().and_then(|arg| arg.span),
                format!("these kernel parameters have {own} characters"),
            )
            .why(format!("the kernel reads {LONGEST} characters and cuts off the rest; remuda's own parameters need up to {rest} of them"))
            .help("remove some; what the running system reads can be in `sysctl` or in a file"),
        );
    }
}

/// Pods need what the line turns on.
pub(crate) fn check_switches(class: &Class, settings: &Settings, line: &Line, found: &mut Diagnostics) {
    for (name, _) in line.sysctl.iter().filter(|(_, value)| *value == "1" && class.is_kubernetes()) {
        // A file in /proc/sys has several names.
        let is_it = |given: &str| {
            let given = given.replace('/', ".");
            given == *name || (given == "net.ipv4.conf.all.forwarding" && name == "net.ipv4.ip_forward")
        };
        let changed = class.sysctl.iter().filter(|(given, value)| is_it(given) && value.text != "1").map(|(_, value)| value.span);
        let removed = settings.sysctl.removed().filter(|key| key.value == *name).map(|key| key.span);
        found.extend_with(changed.chain(removed).map(|span| {
            Diagnostic::new(Code::DecidedSysctl, span, format!("pods need {name} turned on"))
                .why("without it, the kernel forwards no packets between pods, nodes and services")
                .help("remove it")
        }));
    }
}

/// Nothing turns IPv6 off where the cluster has it.
pub(crate) fn check_ipv6(class: &Class, profile: &Profile, found: &mut Diagnostics) {
    let has_ipv6 = !profile.network.nodes.v6.is_absent();
    let is_off = |name: &str| {
        let name = name.replace('/', ".");
        name.starts_with("net.ipv6.conf.") && name.ends_with(".disable_ipv6")
    };
    let off = class.sysctl.iter().filter(|(name, value)| has_ipv6 && is_off(name) && value.text != "0");
    found.extend_with(off.map(|(name, value)| {
        Diagnostic::new(Code::DecidedSysctl, value.span, format!("{name} turns IPv6 off, and `network` has it"))
            .why("nodes or pods would have one address: flannel and the kubelet wait for the other one")
            .help("remove it")
    }));
}

/// Names in a list of the kernel's.
fn listed(list: &'static str) -> impl Iterator<Item = &'static str> + Clone {
    list.lines().filter(|line| !line.starts_with('#'))
}

const PARAMETERS: &str = include_str!("../../target/kernel/parameters");
const MODULES: &str = include_str!("../../target/kernel/modules");
/// The folders of /proc/sys.
const ROOTS: [&str; 10] = ["abi", "crypto", "debug", "dev", "fs", "kernel", "net", "sunrpc", "user", "vm"];

/// Whether the kernel may have the parameter: it is listed, or it is in a folder that isn't, and that a module brings.
fn is_parameter(name: &str) -> bool {
    static NAMES: LazyLock<HashSet<&str>> = LazyLock::new(|| listed(PARAMETERS).collect());
    if NAMES.contains(name) {
        return true;
    }
    // The folder of an interface is listed once, for `*`.
    let is_like = |known: &str, parts: &[&str]| {
        let mut parts = parts.iter();
        known.split('.').all(|known| parts.next().is_some_and(|part| known == "*" || known == *part)) && parts.next().is_none()
    };
    let parts: Vec<&str> = name.split('.').collect();
    let (_, folder) = parts.split_last().unwrap_or((&"", &[]));
    let is_folder = |known: &str| known.rsplit_once('.').is_some_and(|(known, _)| is_like(known, folder));
    if listed(PARAMETERS).any(is_folder) { listed(PARAMETERS).any(|known| is_like(known, &parts)) } else { ROOTS.contains(&parts[0]) }
}

/// The OS splits a module's line at blanks and passes the words to modprobe.
pub(crate) fn check_modules(class: &Class, found: &mut Diagnostics) {
    for module in class.modules.iter().filter(|module| !module.varies()) {
        let mut words = module.text.split(' ');
        let is_name =
            |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)) && !word.starts_with('-');
        if !words.next().is_some_and(is_name) || !words.all(|word| word.split_once('=').is_some_and(|(name, _)| is_name(name))) {
            found.push(
                Diagnostic::new(Code::InvalidValue, module.span, format!("{:?} isn't a kernel module", module.text))
                    .why("modprobe fails on it, and the OS continues without it")
                    .help("write a module's name, or `NAME PARAMETER=VALUE`"),
            );
            continue;
        }
        let name = module.text.split(' ').next().unwrap_or_default().replace('-', "_");
        if !listed(MODULES).any(|known| known == name) {
            let meant = closest(&name, listed(MODULES));
            found.push(
                Diagnostic::new(Code::UnknownKernelName, module.span, format!("remuda knows no kernel module `{name}`"))
                    .why("if the node's kernel doesn't have it either, modprobe fails, and the OS continues without it")
                    .help(meant.map_or_else(|| "see `modinfo` on a node".to_owned(), |meant| format!("did you mean `{meant}`?"))),
            );
        }
    }
}

/// A file in /proc/sys, named with dots. `net/ipv4/conf/eth0.5/forwarding` has an interface with a dot, which is one part.
fn dotted(name: &str) -> String {
    match name.find(['.', '/']).map(|at| &name[at..=at]) {
        Some("/") => name.replace('.', "_").replace('/', "."),
        _ => name.replace('/', "_"),
    }
}

/// Parameters that are words, lists or patterns; the kernel reads all others as numbers.
const WORDS: [&str; 22] = [
    "abi",
    "crypto",
    "debug",
    "dev",
    "fs.binfmt_misc",
    "kernel.bootloader",
    "kernel.core_pattern",
    "kernel.domainname",
    "kernel.hostname",
    "kernel.hotplug",
    "kernel.modprobe",
    "kernel.poweroff_cmd",
    "kernel.seccomp",
    "kernel.usermodehelper",
    "net.core.default_qdisc",
    "net.core.rps_default_mask",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_allowed_congestion_control",
    "net.ipv4.tcp_congestion_control",
    "net.ipv4.tcp_fastopen_key",
    "net.mptcp",
    "net.netfilter.nf_log",
];

/// Whether the kernel takes the value for this parameter, as far as that is known: numbers with blanks between them
/// (kernel/sysctl.c, proc_get_long).
fn is_settable(name: &str, value: &str) -> bool {
    let is_word = |word: &&str| name.strip_prefix(*word).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let is_number = |word: &str| {
        let digits = word.strip_prefix('-').unwrap_or(word);
        match digits.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).is_ok(),
            None => digits.parse::<u64>().is_ok() && !digits.starts_with('+'),
        }
    };
    if WORDS.iter().any(is_word) || name.ends_with(".stable_secret") {
        return !value.contains("{{");
    }
    !value.trim().is_empty() && value.split_ascii_whitespace().all(is_number)
}

pub(crate) fn check_sysctl(class: &Class, found: &mut Diagnostics) {
    let bridges = class.modules.iter().any(|module| module.text == "br_netfilter");
    for (name, value) in &class.sysctl {
        let parts = name.split(['.', '/']);
        let fits = parts.clone().count() > 1
            && parts.clone().all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)));
        if !fits {
            found.push(
                Diagnostic::new(Code::InvalidName, value.span, format!("`{name}` isn't a kernel parameter's name"))
                    .why("the OS logs a failure and continues without it")
                    .help("write it as `sysctl -a` does, like net.ipv4.ip_forward"),
            );
        } else if name.starts_with("net.bridge.") && !bridges {
            found.push(
                Diagnostic::new(Code::SysctlModule, value.span, format!("`{name}` needs the module br_netfilter"))
                    .why("without the module the kernel has no such parameter, and the OS continues without it")
                    .help("add `modules: [br_netfilter]`"),
            );
        } else if !is_parameter(&dotted(name)) {
            let name = dotted(name);
            let meant = closest(&name, listed(PARAMETERS));
            found.push(
                Diagnostic::new(Code::UnknownKernelName, value.span, format!("remuda knows no kernel parameter `{name}`"))
                    .why("if the node's kernel doesn't have it either, the OS logs a failure and continues without it")
                    .help(meant.map_or_else(|| "see `sysctl -a` on a node".to_owned(), |meant| format!("did you mean `{meant}`?"))),
            );
        } else if !value.varies() && !is_settable(&dotted(name), &value.text) {
            found.push(
                Diagnostic::new(Code::InvalidValue, value.span, format!("the kernel reads `{name}` as numbers, not as {:?}", value.text))
                    .why("the OS logs a failure and continues without it")
                    .help(match value.text.contains("{{") {
                        true => "write `!template` before it",
                        false => "write a whole number",
                    }),
            );
        }
    }
}

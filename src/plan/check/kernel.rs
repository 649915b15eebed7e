//! Kernel parameters and modules: what the OS would continue without.

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::line::Line;
use crate::plan::cluster::Class;
use crate::profile::Settings;

/// Pods need what the line turns on.
pub fn check_switches(class: &Class, settings: &Settings, line: &Line, found: &mut Diagnostics) {
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

/// The OS splits a module's line at blanks and passes the words to modprobe.
pub fn check_modules(class: &Class, found: &mut Diagnostics) {
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
        }
    }
}

pub fn check_sysctl(class: &Class, found: &mut Diagnostics) {
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
        }
    }
}

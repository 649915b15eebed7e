//! How machines boot.

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::plan::cluster::{Machine, Media, Pxe};
use crate::plan::decide::fleet::DeclaredClass;
use crate::profile::{Location, Profile};
use crate::terms::{ByArch, ConfigBy, Role};
use crate::yaml::{Field, Given};

pub(crate) fn decide(profile: &Profile, found: &mut Diagnostics) -> Media {
    let given = &profile.media;
    if given.url.is_absent() {
        let spans = [given.kernel.span(), given.initrd.span(), given.config.span(), given.matchbox.span()];
        if let Some(span) = spans.into_iter().flatten().next() {
            found.push(
                Diagnostic::new(Code::NoMediaUrl, span, "this is for network boot, but `media` has no `url`")
                    .why("remuda generates nothing for network boot: no machine would find its kernel or its config")
                    .help("add `url: http://HOST:PORT`, where OUT/CLUSTER/sealed/pxe.d is served"),
            );
        }
    }
    if let (true, Some(version)) = (given.vagrant.box_name.is_absent(), given.vagrant.box_version.get()) {
        found.push(
            Diagnostic::new(Code::NoBox, version.span, "a version without a box")
                .why("remuda generates no Vagrantfile")
                .help("add `box_name: NAME`, as `vagrant box list` shows it"),
        );
    }
    let location = |given: &Given<ByArch<Location>>, default: &str| match given.value() {
        None => ByArch::All(default.to_owned()),
        Some(ByArch::All(one)) => ByArch::All(one.0.clone()),
        Some(ByArch::Each(all)) => ByArch::Each(all.iter().map(|(arch, one)| (*arch, one.0.clone())).collect()),
    };
    let pxe = given.url.value().map(|url| Pxe {
        url: url.0.trim_end_matches('/').to_owned(),
        kernel: location(&given.kernel, "vmlinuz"),
        initrd: location(&given.initrd, "initrd"),
        config: given.config.value().copied().unwrap_or(ConfigBy::Initrd),
        matchbox: given.matchbox.value().is_some_and(|flag| flag.0),
    });
    let vagrant = &given.vagrant;
    let version = vagrant.box_version.value().map(|version| version.0.clone());
    Media { pxe, vagrant: vagrant.box_name.value().map(|name| (name.0.clone(), version)) }
}

pub(crate) fn machine(kind: &DeclaredClass) -> Machine {
    let settings = &kind.settings;
    let is_control_plane = kind.roles.contains(&Role::ControlPlane);
    Machine {
        install: settings.install.value().is_some_and(|install| install.0),
        console: settings.console.value().map(|console| console.0.clone()),
        kernel_args: settings.kernel_args.values().map(|word| word.0.clone()).collect(),
        memory: settings.memory.value().map_or(if is_control_plane { 4096 } else { 2048 }, |memory| memory.0),
        cpus: settings.cpus.value().map_or(2, |cpus| cpus.0),
    }
}

//! Add-ons: folders of nodes that can't keep their data, and ports that others have.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span};
use crate::line::{Claim, Claimed, Line};
use crate::plan::check::manifests::{node_ports, of_services};
use crate::plan::cluster::{Class, Etcd};
use crate::plan::context::Context;
use crate::plan::decide::files::Writers;
use crate::plan::folders::{OF_OTHERS, below_others, is_below, volatile};

/// The services that must see what pods mount.
const OF_PODS: [&str; 2] = ["containerd", "kubelet"];

/// Everything about what pods of add-ons take of nodes.
pub(crate) fn check(line: &Line, classes: &[Class], context: &Context, etcd: Option<&Etcd>, found: &mut Diagnostics) {
    let mut folders: Vec<(&Claim, &str)> = Vec::new();
    let mut ports = of_services(line, classes, context);
    let on_nodes = node_ports(classes);
    for claim in &line.claims {
        match &claim.of {
            Claimed::Folder(path) => {
                check_folder(claim, path, line, classes, context, etcd, found);
                if let Some((other, _)) = folders.iter().find(|(_, other)| overlaps(path, other)) {
                    let says = format!("{path} isn't apart from the folder of the add-on `{}`", other.addon);
                    found.push(folder_of_others(claim.span, says).related(other.span, "the other one"));
                }
                folders.push((claim, path));
            }
            Claimed::Port(port) => {
                if let Some((who, place)) = ports.get(&(*port, false)) {
                    let says = format!("{who} already takes port {port} of the node");
                    found.push(port_of_others(claim, says).related(*place, "taken here"));
                } else if on_nodes.contains(port) {
                    let says =
                        format!("port {port} is one of {} to {}, which the API server gives to services", on_nodes.start(), on_nodes.end());
                    found.push(port_of_others(claim, says));
                }
                ports.insert((*port, false), (title(claim), claim.span));
            }
        }
    }
}

/// The add-on, for messages.
pub(super) fn title(claim: &Claim) -> String {
    format!("the add-on `{}`", claim.addon)
}

fn overlaps(one: &str, other: &str) -> bool {
    one == other || is_below(one, other) || is_below(other, one)
}

fn check_folder(
    claim: &Claim,
    path: &str,
    line: &Line,
    classes: &[Class],
    context: &Context,
    etcd: Option<&Etcd>,
    found: &mut Diagnostics,
) {
    let span = claim.span;
    let snapshots = etcd.and_then(|etcd| etcd.snapshots.as_ref()).map(|snapshots| &snapshots.directory);
    let mut of_etcd = etcd.map(|etcd| &etcd.data_dir).into_iter().chain(snapshots).chain(etcd.and_then(|etcd| etcd.restore.as_ref()));
    let is_seen = |class: &&Class| {
        let writers = Writers { services: &class.services, target: context.target, ours: &line.file_writer, base_image: "" };
        let of_pods = class.services.iter().filter(|planned| OF_PODS.contains(&planned.name.as_str()));
        of_pods
            .map(|planned| writers.mounts(&planned.service))
            .all(|mounts| mounts.iter().any(|folder| path == folder || is_below(path, folder)))
    };
    if let Some(volatile) = volatile(path) {
        found.push(lost(
            claim,
            format!("{path} is below {volatile}"),
            format!("{volatile} is empty after every boot: all data in it would be lost"),
        ));
    } else if below_others(path) || OF_OTHERS.iter().any(|folder| path == *folder || is_below(folder, path)) {
        found.push(folder_of_others(span, format!("{path} is a folder of the OS or of other services")));
    } else if let Some(other) = of_etcd.find(|other| overlaps(path, other)) {
        found.push(folder_of_others(span, format!("{path} isn't apart from {other}, where etcd keeps data")));
    } else if !classes.iter().filter(|class| class.is_kubernetes()).all(|class| is_seen(&class)) {
        let why = "the data would be in the container that runs the pods, and lost when a new version replaces it";
        found.push(lost(claim, format!("pods don't see the host's {path}"), why.to_owned()));
    }
}

fn lost(claim: &Claim, says: String, why: String) -> Diagnostic {
    let help = format!("set `{}` of {} to a path that the disk keeps: below /opt, /home, /mnt or /media", claim.setting, title(claim));
    Diagnostic::new(Code::AddonFolder, claim.span, says).why(why).help(help)
}

fn folder_of_others(span: Option<Span>, says: String) -> Diagnostic {
    Diagnostic::new(Code::FolderOfOthers, span, says)
        .why("the add-on makes and removes folders in it, and lets pods write there")
        .help("use a folder that nothing else uses, like /opt/local-path-provisioner")
}

fn port_of_others(claim: &Claim, says: String) -> Diagnostic {
    Diagnostic::new(Code::AddonPort, claim.span, says).why("whoever comes second fails, or gets no packets").help(format!(
        "set `{}` of {} to another port",
        claim.setting,
        title(claim)
    ))
}

//! Where etcd keeps its data, and whether its founders are those of the cluster that runs.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span};
use crate::line::{Condition, Line};
use crate::plan::cluster::{Etcd, EtcdRecord};
use crate::plan::decide::fleet::Fleet;
use crate::plan::decide::names::Pattern;
use crate::plan::folders::{OF_OTHERS, below_others, is_below, volatile};
use crate::profile::Profile;
use crate::terms::Role;
use crate::yaml::Given;
use std::collections::BTreeSet;

/// Snapshots must survive a boot, apart from the data that they are of; and somebody must save them.
pub(crate) fn snapshots(profile: &Profile, etcd: Option<&Etcd>, line: Option<&Line>, found: &mut Diagnostics) {
    let given = &profile.etcd.snapshots;
    if let (Some(span), Some(line)) = (given.span, line)
        && !line.services.iter().any(|service| service.when.contains(&Condition::Snapshots))
    {
        found.push(
            Diagnostic::new(Code::NoSnapshots, span, format!("{} saves no snapshots", line.name))
                .why("its etcd has no service that does it")
                .help("remove `snapshots`, and copy the data folder of a member that is off"),
        );
    }
    let Some((etcd, snapshots)) = etcd.and_then(|etcd| Some((etcd, etcd.snapshots.as_ref()?))) else { return };
    let (folder, data) = (snapshots.directory.as_str(), etcd.data_dir.as_str());
    let span = given.directory.span().or_else(|| profile.etcd.data_dir.span());
    let named = Folder { path: folder, span, what: "the snapshots' folder", better: "/var/lib/etcd-snapshots" };
    named.survives("there would be no backup when it is needed", found);
    if let Some(says) = is_of_others(folder, named.what, data) {
        found.push(
            Diagnostic::new(Code::FolderOfOthers, span, says)
                .why("what is wrong with that folder would take the snapshots with it")
                .help("set `etcd.snapshots.directory` to a folder that nothing else uses, or one on another disk"),
        );
    }
}

/// One member restores, where others can join it; and that is told as long as the profile says so.
pub(crate) fn restore(profile: &Profile, etcd: Option<&Etcd>, line: Option<&Line>, found: &mut Diagnostics) {
    let given = &profile.etcd.restore;
    let (Some(span), Some(etcd), Some(line)) = (given.span, etcd, line) else { return };
    let Some(member) = given.member.get() else {
        if !matches!(given.member, Given::Bad) {
            found.push(
                Diagnostic::new(Code::MissingKey, span, "`etcd.restore` has no `member`")
                    .why("nobody would restore the snapshot, and every member would wait for the others")
                    .help("name the member that you give the snapshot to, like `restore: {member: m-1}`"),
            );
        }
        return;
    };
    let is_several = Pattern::parse(&member.value.0).is_ok_and(|pattern| pattern.len() > 1);
    let problem = if is_several {
        Some((member.span.unwrap_or(span), "more than one member restores".to_owned(), "name one; the others join it"))
    } else if etcd.discovery.is_some() {
        Some((span, "`restore` and `bootstrap` are both given".to_owned(), "remove `bootstrap`: each config then names all members"))
    } else if !line.etcd_is_joined {
        let says = format!("no node can join the etcd of `{}`", line.name);
        Some((span, says, "remove `restore`, and put a copy of a member's data folder on the disk of each"))
    } else {
        let also = profile.etcd.founders.span.map(|founders| (founders, "`founders` and `restore` are both given".to_owned()));
        also.map(|(founders, says)| (founders, says, "remove `founders`: the member that restores is the only one"))
    };
    if let Some((span, says, help)) = problem {
        found.push(
            Diagnostic::new(Code::MisplacedRestore, span, says)
                .why("the restored cluster begins with one member, and all others join it: two that restore would be two clusters")
                .help(help),
        );
        return;
    }
    let folder = etcd.restore.as_deref().unwrap_or_default();
    let at = given.directory.span().or(Some(span));
    if let Some(says) = is_of_others(folder, "the folder with the snapshot", &etcd.data_dir) {
        found.push(
            Diagnostic::new(Code::FolderOfOthers, at, says)
                .why("etcd or the OS would take the snapshot for something of its own")
                .help("remove `etcd.restore.directory`, or name a folder that nothing else uses"),
        );
    }
    found.push(
        Diagnostic::new(Code::RestoreStays, span, format!("{} restores a snapshot of etcd if nobody has data", member.value.0))
            .why("if all members lose their data again, an old state comes back without a word")
            .help(format!("once the cluster runs, write `founders: [{}]` in place of `restore`", member.value.0)),
    );
}

/// What is wrong with a folder, named `what`, that isn't apart from etcd's data and from what others keep.
fn is_of_others(path: &str, what: &str, data: &str) -> Option<String> {
    if path == data || is_below(path, data) || is_below(data, path) {
        Some(format!("{what} {path} isn't apart from that of etcd's data, {data}"))
    } else if below_others(path) || OF_OTHERS.contains(&path) {
        Some(format!("{what} {path} is one of the OS or of other services"))
    } else {
        None
    }
}

/// The folder of etcd's data must survive a boot and belong only to etcd.
pub(crate) fn data_dir(profile: &Profile, found: &mut Diagnostics) {
    let Some(given) = profile.etcd.data_dir.get() else { return };
    let named = Folder { path: &given.0, span: given.span, what: "etcd's data folder", better: "/var/lib/etcd" };
    named.survives("the cluster would lose all its objects", found);
    let holds_others = |folder: &&str| given.0 == **folder || is_below(folder, &given.0);
    if below_others(&given.0) || OF_OTHERS.iter().any(holds_others) {
        found.push(
            Diagnostic::new(Code::FolderOfOthers, given.span, format!("{} is a folder of the OS or of other services", given.0))
                .why("etcd removes everybody else's access to its folder")
                .help("use a separate folder, like /var/lib/etcd"),
        );
    }
}

struct Folder<'a> {
    path: &'a str,
    span: Option<Span>,
    /// What it is, for a message.
    what: &'static str,
    better: &'static str,
}

impl Folder<'_> {
    /// Reports a folder that is empty after every boot.
    fn survives(&self, loss: &str, found: &mut Diagnostics) {
        let Some(volatile) = volatile(self.path) else { return };
        found.push(
            Diagnostic::new(Code::VolatileEtcd, self.span, format!("{} {} is below {volatile}", self.what, self.path))
                .why(format!("{volatile} is empty after every boot: {loss}"))
                .help(format!("use a path on the state partition, like {}", self.better)),
        );
    }
}

/// Founders must be possible here, and be those of the out tree: others would make a second cluster.
pub(crate) fn founders(
    profile: &Profile,
    fleet: &Fleet,
    etcd: Option<&Etcd>,
    line: Option<&Line>,
    committed: Option<&EtcdRecord>,
    found: &mut Diagnostics,
) {
    let given = profile.etcd.founders.span;
    let (Some(etcd), Some(line)) = (etcd, line) else { return };
    if given.is_some() && etcd.discovery.is_some() {
        found.push(
            Diagnostic::new(Code::MisplacedFounders, given, "`founders` and `bootstrap` are both given")
                .why("the discovery service chooses the founders: the first nodes that come to it")
                .help("remove one of them"),
        );
    } else if given.is_some() && !line.etcd_is_joined {
        found.push(
            Diagnostic::new(Code::MisplacedFounders, given, format!("no node can join the etcd of `{}`", line.name))
                .why("its etcd is older than 3.4, where a node that joins can't be told from one that votes")
                .help("remove `founders`: all members found the cluster together"),
        );
    } else if let (Some(committed), None) = (committed, &etcd.restore) {
        compare(profile, fleet, etcd, line, committed, found);
    }
}

fn compare(profile: &Profile, fleet: &Fleet, etcd: &Etcd, line: &Line, committed: &EtcdRecord, found: &mut Diagnostics) {
    let now = etcd.record(&fleet.nodes);
    if now.founders == committed.founders || now.founders.as_ref().is_some_and(BTreeSet::is_empty) {
        return;
    }
    let is_new = |name: &String| {
        now.founders.iter().flatten().any(|founder| founder == name) && !committed.founders.iter().flatten().any(|founder| founder == name)
    };
    let declares_new = |name: &str| Pattern::parse(name).is_ok_and(|pattern| (0..pattern.len()).any(|index| is_new(&pattern.name(index))));
    let first = || profile.nodes.iter().find(|(name, _)| declares_new(&name.value)).and_then(|(name, _)| name.span);
    let span = profile.etcd.founders.span.or_else(|| profile.etcd.bootstrap.discovery.span()).or_else(first);
    let remains =
        |name: &String| fleet.nodes.iter().enumerate().any(|(index, node)| node.name == *name && fleet.has_role(index, Role::Etcd));
    let keep = match &committed.founders {
        _ if !line.etcd_is_joined => "keep etcd's members: those of this line can't change".to_owned(),
        Some(founders) if founders.iter().all(remains) => format!("write `etcd: {{founders: [{}]}}`", listed(founders)),
        _ => "write `etcd: {founders: []}`: the cluster exists, and nodes without data join it".to_owned(),
    };
    found.push(
        Diagnostic::new(
            Code::OtherFounders,
            span.or_else(|| profile.cluster.span()),
            format!("etcd is founded by {}, but in the out tree by {}", who(now.founders.as_ref()), who(committed.founders.as_ref())),
        )
        .why("founders that don't know of the cluster that runs would make a second one beside it: two clusters, each with healthy members")
        .help(format!(
            "{keep}; if no node of this cluster has ever booted, delete its folder in the out tree, and commit that if it is in git"
        )),
    );
}

fn who(founders: Option<&BTreeSet<String>>) -> String {
    match founders {
        None => "whom the discovery service chooses".to_owned(),
        Some(founders) if founders.is_empty() => "nobody".to_owned(),
        Some(founders) => listed(founders),
    }
}

fn listed(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

//! Changes → steps: one at a time, in an order in which the API answers and etcd keeps its majority.
//!
//! The tree is written first. Then members leave etcd and join it, one by one; a member that replaces another comes
//! after that one. Then the nodes that others rely on, one by one, then new workers, changed workers, and at last those
//! that go. If versions move, the nodes that are there come before those that join: a new member must not be the
//! first with a newer version.

use super::plan::Commands;
use super::{Before, Comparison, Effect, Facts, State};
use crate::plan::{Cluster, NodeRef, PlannedImage};
use crate::terms::{Delivery, EngineName, Role};
use indexmap::IndexMap;
use serde::Serialize;

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Step {
    /// What it does.
    pub title: String,
    /// The nodes that it is about; the step is done for each of them.
    pub nodes: Vec<StepNode>,
    /// How many of them may be away at a time.
    pub at_once: usize,
    /// What to know before.
    pub notes: Vec<String>,
    /// The commands. With several nodes they name the node `$NODE` and its address `$ADDRESS`.
    pub run: Vec<String>,
    /// What ends the step: when these commands succeed.
    pub until: Vec<String>,
}

/// A node of a step.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct StepNode {
    /// Its name.
    pub name: String,
    /// How to reach it.
    pub address: String,
}

/// What steps are made of.
pub(super) struct Ways<'p> {
    pub cluster: &'p Cluster,
    pub before: &'p Before,
    pub facts: &'p Facts,
    pub commands: &'p Commands,
    /// Images that nodes need and don't have yet.
    pub new_images: &'p [String],
    /// Whether the new tree is in git already.
    pub is_committed: bool,
    /// Component, old and new version.
    pub versions: &'p [(String, String, String)],
}

/// What is done to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Doing {
    /// It isn't Ready, and gets its config again.
    Return,
    /// It takes its new config and reboots.
    Renew,
    /// It boots for the first time, or as another node.
    Join,
    /// It goes.
    Leave,
}

/// A node in commands.
#[derive(Debug, Clone, Copy)]
struct Shown<'s> {
    name: &'s str,
    /// Where it is reached now.
    at: &'s str,
    /// Where it is reached when it has booted with its new config.
    then: &'s str,
}

/// The node in commands for several, none of which moves.
const ANY: Shown<'static> = Shown { name: "$NODE", at: "$ADDRESS", then: "$ADDRESS" };

impl Ways<'_> {
    /// What to type once, and the steps.
    pub(super) fn steps(&self, comparison: &Comparison) -> (Vec<String>, Vec<Step>) {
        let mut steps = vec![self.write()];
        if !self.commands.accepted.is_empty() {
            steps.push(self.all_at_once());
            return (self.setup(), steps);
        }
        let upgrades = self.versions.iter().any(|(component, ..)| self.cluster.line.moves.contains_key(component));
        steps.extend(self.load(comparison));
        let back = self.names(comparison, Doing::Return, true).into_iter();
        steps.extend(back.map(|name| self.one(name, Doing::Return, comparison)));
        let renewed = self.renewed(comparison);
        let members = self.come_and_go(comparison);
        let in_order = if upgrades { [renewed, members] } else { [members, renewed] };
        steps.extend(in_order.into_iter().flatten());
        for (gone, come) in self.moved(comparison, false) {
            steps.extend([self.one(gone, Doing::Leave, comparison), self.one(come, Doing::Join, comparison)]);
        }
        for wanted in [Doing::Join, Doing::Return, Doing::Renew, Doing::Leave] {
            steps.extend(self.many(&self.names(comparison, wanted, false), wanted, comparison));
        }
        let is_needed = steps.len() > 1;
        steps.extend(self.former_admins());
        (if is_needed { self.setup() } else { Vec::new() }, steps)
    }

    /// The nodes with which this is done, of those that others rely on or of the rest. Machines that become other
    /// nodes aren't among them.
    fn names<'c>(&self, comparison: &'c Comparison, wanted: Doing, relied: bool) -> Vec<&'c String> {
        let is_moved = |state: &State| matches!(state, State::New { was: Some(_) } | State::Gone { becomes: Some(_) });
        let all = comparison.nodes.iter().filter(|(_, node)| !is_moved(&node.state)).map(|(name, _)| name);
        let mut all: Vec<&String> =
            all.filter(|name| Self::doing(comparison, name) == Some(wanted) && self.is_relied_on(name) == relied).collect();
        // The store comes before what reads it.
        all.sort_by_key(|name| self.is(name, Role::ControlPlane));
        all
    }

    /// The machines that become other nodes: their old and new names. One that others rely on before or after is
    /// among the first kind.
    fn moved<'c>(&self, comparison: &'c Comparison, relied: bool) -> Vec<(&'c String, &'c String)> {
        let moved = comparison.nodes.iter().filter_map(|(name, node)| match &node.state {
            State::Gone { becomes: Some(becomes) } => Some((name, becomes)),
            _ => None,
        });
        moved.filter(|(gone, come)| (self.is_relied_on(gone) || self.is_relied_on(come)) == relied).collect()
    }

    /// Steps for changed nodes that others rely on.
    fn renewed(&self, comparison: &Comparison) -> Vec<Step> {
        let names = self.names(comparison, Doing::Renew, true);
        let mut steps: Vec<Step> = names.into_iter().map(|name| self.one(name, Doing::Renew, comparison)).collect();
        if let [first, _, ..] = &mut steps[..]
            && self.is_v3()
        {
            let status = "etcdctl endpoint status --cluster -w table";
            first.notes.insert(0, format!("`{status}` names the member that leads etcd: do its step after the others of this kind."));
        }
        steps
    }

    /// Steps for nodes that others rely on and that come or go: who replaces another comes after that one.
    fn come_and_go(&self, comparison: &Comparison) -> Vec<Step> {
        let mut steps = Vec::new();
        for (gone, come) in self.moved(comparison, true) {
            steps.extend([self.one(gone, Doing::Leave, comparison), self.one(come, Doing::Join, comparison)]);
        }
        let mut leaving = self.names(comparison, Doing::Leave, true).into_iter();
        let mut joining = self.names(comparison, Doing::Join, true).into_iter();
        loop {
            let (leaves, joins) = (leaving.next(), joining.next());
            if leaves.is_none() && joins.is_none() {
                return steps;
            }
            steps.extend(leaves.map(|name| self.one(name, Doing::Leave, comparison)));
            steps.extend(joins.map(|name| self.one(name, Doing::Join, comparison)));
        }
    }

    /// What is done to a node; nothing if it can wait for the next boot.
    fn doing(comparison: &Comparison, name: &str) -> Option<Doing> {
        let node = comparison.nodes.get(name)?;
        match (&node.state, node.effect) {
            (State::New { .. }, _) => Some(Doing::Join),
            (State::Gone { .. }, _) => Some(Doing::Leave),
            (State::Changed, Some(Effect::NextBoot)) => None,
            (State::Away, _) => Some(Doing::Return),
            (State::Changed | State::Unclear, _) => Some(Doing::Renew),
        }
    }

    /// Whether a node is or was one that others rely on.
    fn is_relied_on(&self, name: &str) -> bool {
        [self.before.node(name), self.facts.node(name)].into_iter().flatten().any(|node| node.is_relied_on())
    }

    fn was(&self, name: &str, role: Role) -> bool {
        self.before.node(name).is_some_and(|node| node.is(role))
    }

    fn is(&self, name: &str, role: Role) -> bool {
        self.facts.node(name).is_some_and(|node| node.is(role))
    }

    /// How others reach a node with its new config; `None` if it goes.
    fn new_address(&self, name: &str) -> Option<String> {
        self.cluster.node(name).map(|of| of.node.host(&self.cluster.network))
    }

    /// How others reach a node now, also one that goes.
    fn address(&self, name: &str) -> String {
        let had = self.before.node(name).and_then(|node| node.address);
        had.or_else(|| self.new_address(name)).unwrap_or_else(|| name.to_owned())
    }

    /// A step for a node that others rely on.
    fn one(&self, name: &str, doing: Doing, comparison: &Comparison) -> Step {
        let address = self.address(name);
        let then = self.new_address(name).unwrap_or_else(|| address.clone());
        let mut step = self.step(name, doing, comparison, Shown { name, at: &address, then: &then });
        step.nodes = vec![StepNode { name: name.to_owned(), address }];
        step
    }

    /// Steps for other nodes: one for all that are done in the same way.
    fn many(&self, names: &[&String], doing: Doing, comparison: &Comparison) -> Vec<Step> {
        let mut alike: IndexMap<Step, Vec<&String>> = IndexMap::new();
        let moves = |name: &&&String| self.new_address(name).is_some_and(|new| new != self.address(name));
        let (moved, others): (Vec<&String>, Vec<&String>) = names.iter().partition(moves);
        for name in others {
            let step = Step { title: String::new(), ..self.step(name, doing, comparison, ANY) };
            alike.entry(step).or_default().push(name);
        }
        let of = |(mut step, names): (Step, Vec<&String>)| {
            if let [name] = names[..] {
                return self.one(name, doing, comparison);
            }
            step.nodes = names.iter().map(|name| StepNode { name: (*name).clone(), address: self.address(name) }).collect();
            step.at_once = self.commands.at_once.min(names.len()).max(1);
            step.title = title(doing, &format!("{} workers", names.len()), is_another_machine(comparison, names[0]));
            step
        };
        let moved = moved.into_iter().map(|name| self.one(name, doing, comparison));
        moved.chain(alike.into_iter().map(of)).collect()
    }

    fn step(&self, name: &str, doing: Doing, comparison: &Comparison, shown: Shown<'_>) -> Step {
        let mut step = Step { title: title(doing, name, is_another_machine(comparison, name)), at_once: 1, ..Step::default() };
        match doing {
            Doing::Return | Doing::Renew => self.renew(name, comparison, shown, &mut step),
            Doing::Join => self.join(name, comparison, shown, &mut step),
            Doing::Leave => self.leave(name, comparison, shown, &mut step),
        }
        step
    }

    /// The first step: the tree, and what nodes fetch.
    fn write(&self) -> Step {
        let (images, root) = (&self.cluster.images, &self.commands.root);
        let mut run = vec![format!("{}{}", self.commands.generate, self.commands.accept)];
        let mut notes = Vec::new();
        if !self.new_images.is_empty() {
            match images.delivery {
                Delivery::Registry => run.push(self.remuda("image push", "")),
                Delivery::Url => {
                    notes.push(format!("Serve {root}/images at {} before a node boots.", images.url.as_deref().unwrap_or_default()));
                }
                Delivery::Preload if self.cluster.media.pxe.is_some() => run.push(self.remuda("pxe wrap", "-p ")),
                Delivery::Preload | Delivery::Drive => {}
            }
        }
        if self.has_new_admins() {
            notes.push(
                "The new admin.kubeconfig may do nothing until a control-plane node has booted with its new config: the steps use a copy of the old one.".to_owned(),
            );
        }
        run.extend((!self.is_committed).then(|| format!("git add {root} && git commit")));
        if let Some((_, folder)) = self.etcdctl().filter(|_| self.has_relied_version()) {
            run.push(format!("etcdctl snapshot save {folder}/before-{}.db", self.cluster.line.name));
            notes.push("The snapshot is for the case that the newer version doesn't start: there is no way back without it.".to_owned());
        }
        let until = vec![format!("{} --check", self.commands.generate)];
        let title = if self.is_committed { "Write and seal the tree that is committed" } else { "Write, seal and commit the new tree" };
        Step { title: title.to_owned(), at_once: 1, notes, run, until, ..Step::default() }
    }

    /// The step for a change that a running cluster doesn't survive.
    fn all_at_once(&self) -> Step {
        let mut step = Step { title: "Switch all machines off, and on again with the new configs".to_owned(), ..Step::default() };
        step.notes.push(format!("No order keeps the cluster running with what is accepted: {}.", self.commands.accepted.join(", ")));
        for of in self.cluster.node_refs() {
            step.nodes.push(StepNode { name: of.node.name.clone(), address: self.address(&of.node.name) });
        }
        step.at_once = step.nodes.len();
        for of in self.cluster.node_refs() {
            let mut own = Step::default();
            self.deliver(of, ANY, &mut own);
            own.run.retain(|command| !step.run.contains(command));
            own.notes.retain(|note| !step.notes.contains(note));
            step.run.extend(own.run);
            step.notes.extend(own.notes);
        }
        step.run.push(format!("ssh rancher@{} sudo poweroff", ANY.at));
        if self.has_kubeconfig() {
            step.until.push(format!("until kubectl wait --for=condition=Ready node/{} --timeout=15m; do sleep 5; done", ANY.name));
        }
        step
    }

    /// Whether the version of what holds the cluster's data moves.
    fn has_relied_version(&self) -> bool {
        self.versions.iter().any(|(component, ..)| self.cluster.line.moves.contains_key(component))
    }

    /// `remuda VERB`, with the profile after `option`.
    fn remuda(&self, verb: &str, option: &str) -> String {
        let profile = self.commands.profile.as_ref().map(|profile| format!(" {option}{profile}")).unwrap_or_default();
        format!("remuda {verb}{profile}")
    }

    /// Shell definitions that the steps rely on.
    fn setup(&self) -> Vec<String> {
        let admin = format!("{}/sealed/admin.kubeconfig", self.commands.root);
        let kubectl = if self.has_new_admins() {
            format!("export KUBECONFIG=$(mktemp) && cp {admin} \"$KUBECONFIG\"")
        } else if self.has_kubeconfig() && self.has_new_endpoint() {
            // Nobody may hold the new address yet, and later nobody the old one.
            let at: Vec<String> = self.facts.with_role(Role::ControlPlane).map(|name| self.address(name)).collect();
            format!(
                "export KUBECONFIG=$PWD/{admin}; kubectl() {{ for at in {}; do command kubectl --server https://$at:{} \"$@\" && return; done; return 1; }}",
                at.join(" "),
                self.cluster.api.port
            )
        } else if self.has_kubeconfig() {
            format!("export KUBECONFIG=$PWD/{admin}")
        } else {
            let host = self.cluster.api.host.clone().unwrap_or_else(|| self.a_control_plane());
            format!("kubectl() {{ command kubectl -s http://{host}:{} \"$@\"; }}", self.cluster.api.port)
        };
        [Some(kubectl), self.etcdctl().map(|(defined, _)| defined)].into_iter().flatten().collect()
    }

    /// Whether the admin kubeconfig names another address of the API than before.
    fn has_new_endpoint(&self) -> bool {
        let of = |facts: &Facts| facts.settings.get("api.endpoint").cloned();
        self.before.running().iter().any(|running| of(running.facts) != of(self.facts))
    }

    /// Whether no control-plane node knows the group of the admin kubeconfig yet.
    fn has_new_admins(&self) -> bool {
        let known = self.before.admins();
        self.commands.accepted.is_empty()
            && self.facts.admins.is_some()
            && !known.is_empty()
            && !known.contains(&self.facts.admins.as_ref())
    }

    /// The step that takes the rights of earlier admin kubeconfigs, as far as they can be taken.
    fn former_admins(&self) -> Option<Step> {
        let former: Vec<&String> =
            self.before.admins().into_iter().flatten().filter(|group| Some(*group) != self.facts.admins.as_ref()).collect();
        let run = former.iter().map(|group| format!("kubectl delete clusterrolebinding {group}"));
        let mut step = Step { title: "Take the rights of the old admin.kubeconfig".to_owned(), ..Step::default() };
        step.notes
            .push("Not before every control-plane node has its new config: one with the old config gives the rights again.".to_owned());
        step.run.push(format!("export KUBECONFIG=$PWD/{}/sealed/admin.kubeconfig", self.commands.root));
        step.run.extend(run);
        step.until.push("kubectl auth can-i '*' '*'".to_owned());
        (!former.is_empty()).then_some(step)
    }

    fn has_kubeconfig(&self) -> bool {
        self.cluster.line.operator_files.iter().any(|file| file.path == "admin.kubeconfig")
    }

    /// The address of a control-plane node, best of one that stays.
    fn a_control_plane(&self) -> String {
        let stays = |name: &&str| self.was(name, Role::ControlPlane);
        let all: Vec<&str> = self.facts.with_role(Role::ControlPlane).collect();
        let best = all.iter().copied().find(stays).or(all.first().copied());
        best.map(|name| self.address(name)).unwrap_or_default()
    }

    /// Defines `etcdctl`: within a member that stays, where the container has root's certificate, or from here with the
    /// operator's. The first member at which the command succeeds does it. With the folder that it may write to. `None` if
    /// no member stays, or none is known.
    fn etcdctl(&self) -> Option<(String, &'static str)> {
        let stays = |name: &&str| self.was(name, Role::Etcd);
        let members: Vec<&str> = self.facts.with_role(Role::Etcd).filter(stays).collect();
        let inside: Vec<&str> = members.iter().copied().filter(|name| self.is(name, Role::ControlPlane)).collect();
        let sealed =
            |name: &str| self.cluster.line.files.iter().find(|(_, file)| file.sealed.as_deref() == Some(name)).map(|(path, _)| path);
        let keys = (sealed("etcd-ca.crt"), sealed("kube-apiserver-etcd.crt"), sealed("kube-apiserver-etcd.key"));
        // The container has the data there, whatever the folder on the node.
        let data = "/var/lib/etcd";
        const SSH: &str = "ssh -o ConnectTimeout=5 rancher@$at sudo system-docker exec etcd";
        let (at, run, folder) = match keys {
            (Some(ca), Some(cert), Some(key)) if !inside.is_empty() => {
                // The container has these variables too, and etcdctl refuses flags beside them.
                let keys = format!("ETCDCTL_API=3 ETCDCTL_CACERT={ca} ETCDCTL_CERT={cert} ETCDCTL_KEY={key}");
                (inside, format!("{SSH} env {keys} etcdctl --endpoints https://127.0.0.1:2379"), data)
            }
            (Some(_), ..) if inside.is_empty() => {
                let root = format!("{}/sealed/etcd", self.commands.root);
                let keys = format!("--cacert {root}/ca.crt --cert {root}/admin.crt --key {root}/admin.key");
                (members, format!("command etcdctl --endpoints https://$at:2379 {keys}"), ".")
            }
            _ => (members, format!("{SSH} etcdctl"), data),
        };
        let at: Vec<String> = at.into_iter().map(|name| self.address(name)).collect();
        (!at.is_empty())
            .then(|| (format!("etcdctl() {{ for at in {}; do {run} \"$@\" && return; done; return 1; }}", at.join(" ")), folder))
    }

    /// Whether etcd speaks its API v3: the line has certificates for it.
    fn is_v3(&self) -> bool {
        self.has_kubeconfig()
    }

    fn etcd_is_healthy(&self) -> Option<String> {
        self.etcdctl()?;
        Some(if self.is_v3() { "etcdctl endpoint health --cluster" } else { "etcdctl cluster-health" }.to_owned())
    }

    /// Takes a node's member out of etcd. Its service may not start it again: it would join as a new member.
    fn take_out(&self, name: &str, address: &str, is_away: bool, keeps_machine: bool, step: &mut Step) {
        if !is_away {
            step.run.push(format!("ssh rancher@{address} sudo system-docker update --restart=no etcd"));
        }
        step.run.push(self.forget(name));
        if keeps_machine && !is_away {
            let data = &self.cluster.etcd.data_dir;
            step.run.push(format!("ssh rancher@{address} \"sudo system-docker stop etcd; sudo rm -rf {data}\""));
        }
    }

    /// What succeeds when etcd has no such member. It fails if nobody answers.
    fn is_no_member(&self, name: &str) -> String {
        let member = if self.is_v3() { format!(", {name},") } else { format!("name={name} ") };
        format!("! (etcdctl member list || echo '{member}') | grep '{member}'")
    }

    /// The command that takes a node's member out of etcd. etcd refuses it while a member has been there for less than
    /// five seconds ("unhealthy cluster").
    fn forget(&self, name: &str) -> String {
        let id = if self.is_v3() {
            format!("etcdctl member list | awk -F', ' '$3 == \"{name}\" {{print $1}}'")
        } else {
            format!("etcdctl member list | sed -n 's/: name={name} .*//p'")
        };
        format!("until etcdctl member remove \"$({id})\"; do sleep 5; done")
    }

    /// Whether pods of a node have another node to go to.
    fn can_drain(&self, name: &str) -> bool {
        let runs_pods = |name: &str| self.is(name, Role::Worker) || self.is(name, Role::ControlPlane);
        let others =
            self.facts.nodes.keys().any(|other| other != name && self.is(other, Role::Worker) && self.before.node(other).is_some());
        self.has_kubeconfig() && others && (runs_pods(name) || self.was(name, Role::Worker) || self.was(name, Role::ControlPlane))
    }

    /// Whether it is a node of Kubernetes: it has a kubelet.
    fn has_kubelet(&self, name: &str) -> bool {
        self.cluster.node(name).is_some_and(|of| of.class.services.iter().any(|service| service.name == "kubelet"))
    }

    /// Whether it was one.
    fn had_kubelet(&self, name: &str) -> bool {
        self.was(name, Role::ControlPlane) || self.was(name, Role::Worker)
    }

    /// Its name in Kubernetes: in the line of 2015, its address.
    fn kube_name<'n>(&self, shown: Shown<'n>) -> &'n str {
        if self.has_kubeconfig() { shown.name } else { shown.at }
    }

    /// How a node gets its config and, if they changed, its images.
    fn deliver(&self, of: NodeRef, shown: Shown<'_>, step: &mut Step) {
        let (name, address) = (shown.name, shown.at);
        let (run, notes) = (&mut step.run, &mut step.notes);
        let (root, images) = (&self.commands.root, &self.cluster.images);
        let is_preloaded = images.delivery == Delivery::Preload && !self.new_images.is_empty();
        let boots_from_network = self.cluster.media.pxe.is_some();
        let is_installed = of.class.machine.install || of.class.disk.is_some() && !boots_from_network;
        let is_netbooted = boots_from_network && !is_installed;
        if is_installed {
            // A cut in the middle must leave the old config: the OS reads half of one as none, and drops out of reach.
            let folder = "/var/lib/rancher/conf/cloud-config.d";
            let write = format!("umask 077; cat >{folder}/.new && sync && mv {folder}/.new {folder}/user_config.yml");
            run.push(format!("ssh rancher@{address} \"sudo sh -c '{write}'\" <{root}/sealed/{name}/cloud-config.yml"));
        } else if is_netbooted {
            notes.push(format!("The node fetches its config when it boots: serve {root}/sealed/pxe.d."));
        } else {
            run.push(self.remuda(&format!("iso {name}"), "-p "));
            notes.push(format!("Put the drive {root}/sealed/{name}.iso into the machine before it boots (docs/config-drive.md)."));
        }
        if is_preloaded && !is_netbooted {
            run.extend(self.engines(of).iter().map(|engine| self.preload(engine, address)));
        }
    }

    /// Copies an engine's tarballs to where a node's disk keeps them.
    fn preload(&self, engine: &str, address: &str) -> String {
        let (root, folder) = (&self.commands.root, format!("/var/lib/rancher/preload/{engine}"));
        format!(
            "for tarball in {root}/images/{engine}-*.tar*; do ssh rancher@{address} sudo tee {folder}/\"${{tarball##*/}}\" <\"$tarball\" >/dev/null; done"
        )
    }

    /// New images of pods, for the nodes that stay as they are: pods come to them too, and their disks don't have the images.
    fn load(&self, comparison: &Comparison) -> Option<Step> {
        let engine = self.cluster.line.pods_in;
        let is_new = |image: &PlannedImage| image.engine == engine && self.new_images.contains(&image.spec.name);
        if self.cluster.images.delivery != Delivery::Preload || !self.cluster.images.contents.iter().any(is_new) {
            return None;
        }
        let all = self.cluster.node_refs().map(|of| &of.node.name);
        let names: Vec<&String> = all.filter(|name| self.has_kubelet(name) && Self::doing(comparison, name).is_none()).collect();
        let (who, shown) = match names[..] {
            [] => return None,
            [name] => (name.clone(), Shown { name, at: &self.address(name), then: "" }),
            _ => (format!("{} nodes", names.len()), ANY),
        };
        let load = match engine {
            EngineName::Containerd => format!("ssh rancher@{} sudo system-docker start --attach containerd-images", shown.at),
            _ => {
                let tarballs = format!("{}/images/{engine}-*.tar*", self.commands.root);
                format!("for tarball in {tarballs}; do ssh rancher@{} sudo docker load <\"$tarball\"; done", shown.at)
            }
        };
        Some(Step {
            title: format!("Load the new images of pods on {who}"),
            nodes: names.iter().map(|name| StepNode { name: (*name).clone(), address: self.address(name) }).collect(),
            at_once: names.len(),
            run: vec![self.preload(engine.as_str(), shown.at), load],
            ..Step::default()
        })
    }

    /// How a machine that never ran gets what it needs.
    fn prepare(&self, of: NodeRef, name: &str, step: &mut Step) {
        let (root, images) = (&self.commands.root, &self.cluster.images);
        let is_netbooted = self.cluster.media.pxe.is_some();
        if is_netbooted {
            step.notes.push(format!("The machine fetches its config when it boots: serve {root}/sealed/pxe.d."));
        } else if of.class.disk.is_some() {
            step.notes.push(format!("Install the OS on it: {root}/media/install.txt has the command (docs/install.md)."));
        } else {
            step.run.push(self.remuda(&format!("iso {name}"), "-p "));
            step.notes.push(format!("Put the drive {root}/sealed/{name}.iso into the machine (docs/config-drive.md)."));
        }
        if images.delivery == Delivery::Preload && !is_netbooted {
            step.notes.push(format!("Its disk needs the tarballs in {root}/images before it starts (docs/images.md)."));
        }
    }

    /// The engines for which the node has images.
    fn engines(&self, of: NodeRef) -> Vec<String> {
        let mut engines: Vec<String> = self
            .cluster
            .images
            .contents
            .iter()
            .filter(|image| image.spec.arch == of.class.arch)
            .map(|image| image.engine.to_string())
            .collect();
        engines.sort();
        engines.dedup();
        engines
    }

    fn renew(&self, name: &str, comparison: &Comparison, shown: Shown<'_>, step: &mut Step) {
        let Some(of) = self.cluster.node(name) else { return };
        let (host, address) = (shown.name, shown.at);
        let leaves = self.was(name, Role::Etcd) && !self.is(name, Role::Etcd) && self.etcdctl().is_some();
        let joins = self.joins(name);
        let (drains, is_away, is_replaced) = (self.can_drain(name), self.before.is_away(name), is_another_machine(comparison, name));
        if is_away && is_replaced {
            step.notes.push("It isn't Ready: see that the old machine's power is off, and that it stays off.".to_owned());
        } else if is_away {
            step.notes.push(format!(
                "It isn't Ready, so its disk may have another config than it said last: it gets its config again. If `ssh rancher@{address}` doesn't answer, see docs/second-day.md."
            ));
        } else {
            if self.is(name, Role::Etcd) && !joins {
                step.run.extend(self.etcd_is_healthy());
            }
            if drains {
                step.run.push(drain(host));
            } else if self.has_kubelet(name) && self.has_kubeconfig() {
                step.notes.push("No other node can take its pods: they are away until it is back.".to_owned());
            }
        }
        if leaves {
            self.take_out(name, address, is_away, true, step);
        }
        if is_replaced {
            step.notes.push(
                "Its MAC address changes, so this is another machine; for another card in the same one, see docs/second-day.md.".to_owned(),
            );
            self.prepare(of, host, step);
            step.notes.push("Switch it on when the old machine is off.".to_owned());
        } else {
            self.deliver(of, shown, step);
        }
        if self.before.is_unclear(name) {
            step.notes.push(format!(
                "What it runs is unknown: look first, with `ssh rancher@{address} sudo system-docker ps`. Its etcd and Kubernetes must not be newer than the profile's."
            ));
        }
        if self.before.tree_of(name).is_some_and(|tree| tree.manifest.os_version != self.cluster.os_version) {
            let (title, version) = (&self.cluster.target.title, &self.cluster.os_version);
            step.notes
                .push(format!("It must boot {title} {version} with the new config: services use an image that only this version has."));
        }
        let boots = self.has_kubeconfig() && self.has_kubelet(name);
        if boots {
            step.run.push(format!("BOOT=$(kubectl get node {host} -o 'jsonpath={{.status.nodeInfo.bootID}}')"));
        }
        match (is_replaced, is_away) {
            (true, true) => {}
            (true, false) => step.run.push(format!("ssh rancher@{address} sudo poweroff")),
            (false, _) => step.run.push(format!("ssh rancher@{address} sudo reboot")),
        }
        if boots {
            step.until.push(format!(
                "until kubectl get node {host} -o 'jsonpath={{.status.nodeInfo.bootID}}' | grep -qv \"$BOOT\"; do sleep 5; done"
            ));
        }
        if leaves {
            step.until.push(self.is_no_member(name));
        }
        self.is_back(name, shown, step);
        if self.has_kubeconfig() && self.had_kubelet(name) && !self.has_kubelet(name) {
            step.until.push(format!("until kubectl delete node {host} --ignore-not-found; do sleep 5; done"));
        } else if drains {
            step.until.push(format!("kubectl uncordon {host}"));
        }
    }

    /// Whether a node becomes a member of etcd.
    fn joins(&self, name: &str) -> bool {
        self.is(name, Role::Etcd) && !self.was(name, Role::Etcd)
    }

    /// What shows that a node does all that it should.
    fn is_back(&self, name: &str, shown: Shown<'_>, step: &mut Step) {
        let (host, address) = (shown.name, shown.then);
        let until = |command: String| format!("until {command}; do sleep 5; done");
        if self.joins(name) && self.is_v3() && self.etcdctl().is_some() {
            step.until.push(until(format!("etcdctl member list | grep -q ', started, {name}, .*, false$'")));
        }
        if self.is(name, Role::Etcd) {
            step.until.extend(self.etcd_is_healthy().map(until));
        }
        if self.is(name, Role::ControlPlane) && self.has_kubeconfig() {
            step.until.push(until(format!("kubectl --server https://{address}:{} get --raw /readyz", self.cluster.api.port)));
        }
        if !self.has_kubelet(name) {
            return;
        }
        if self.has_kubeconfig() {
            step.until.push(format!("kubectl wait --for=condition=Ready node/{host} --timeout=15m"));
        } else {
            step.until.push(until(format!("kubectl get nodes | grep {address}")));
        }
        if let Some((.., version)) = self.versions.iter().find(|(component, ..)| component == "kubelet") {
            step.until
                .push(until(format!("kubectl get node {host} -o 'jsonpath={{.status.nodeInfo.kubeletVersion}}' | grep -qx v{version}")));
        }
    }

    fn join(&self, name: &str, comparison: &Comparison, shown: Shown<'_>, step: &mut Step) {
        let Some(of) = self.cluster.node(name) else { return };
        let was = comparison.nodes.get(name).and_then(|node| if let State::New { was } = &node.state { was.as_ref() } else { None });
        let is_known = was.is_some();
        step.notes.extend(was.map(|was| format!("It is the machine that was {was}, and has its new config from that step.")));
        if self.is(name, Role::Etcd) {
            step.run.extend(self.etcd_is_healthy());
            step.notes.push("It joins etcd by itself, as a learner; let it catch up before anything else.".to_owned());
        }
        if !is_known {
            self.prepare(of, shown.name, step);
        }
        step.notes.push("Switch the machine on.".to_owned());
        let host = shown.name;
        if self.has_kubeconfig() && self.has_kubelet(name) {
            step.until.push(format!("until kubectl get node {host}; do sleep 5; done"));
        }
        self.is_back(name, shown, step);
    }

    fn leave(&self, name: &str, comparison: &Comparison, shown: Shown<'_>, step: &mut Step) {
        let (host, address) = (shown.name, shown.at);
        let had_pods = self.had_kubelet(name);
        let is_away = self.before.is_away(name);
        if self.can_drain(name) && !is_away {
            step.run.push(drain(host));
        }
        let is_member = self.was(name, Role::Etcd) && self.etcdctl().is_some();
        let state = comparison.nodes.get(name).map(|node| &node.state);
        if is_member {
            let keeps_machine = matches!(state, Some(State::Gone { becomes: Some(_) }));
            self.take_out(name, address, is_away, keeps_machine, step);
        }
        match state {
            Some(State::Gone { becomes: Some(becomes) }) => {
                step.notes.push(format!("The machine becomes {becomes}: it must not boot with the data of {name}."));
                if let Some(of) = self.cluster.node(becomes) {
                    self.deliver(of, Shown { name: becomes, ..shown }, step);
                }
            }
            _ => step.notes.push("Its disk has its keys: wipe it before anybody else gets it.".to_owned()),
        }
        if is_away {
            step.notes.push("It isn't Ready: see that its power is off, and that it stays off.".to_owned());
        } else {
            step.run.push(format!("ssh rancher@{address} sudo poweroff"));
        }
        if had_pods {
            step.run.push(format!("kubectl delete node {}", self.kube_name(shown)));
        }
        if is_member {
            step.until.push(self.is_no_member(name));
            step.until.extend(self.etcd_is_healthy());
        }
        if had_pods && self.has_kubeconfig() {
            step.until.push(format!("kubectl wait --for=delete node/{host} --timeout=5m"));
        }
    }
}

impl Default for Step {
    fn default() -> Self {
        let (nodes, notes, run, until) = Default::default();
        Self { title: String::new(), nodes, at_once: 1, notes, run, until }
    }
}

fn is_another_machine(comparison: &Comparison, name: &str) -> bool {
    comparison.nodes.get(name).is_some_and(|node| node.another_machine)
}

fn title(doing: Doing, who: &str, is_another_machine: bool) -> String {
    match doing {
        Doing::Return | Doing::Renew if is_another_machine => format!("Put {who} on another machine"),
        Doing::Return => format!("Bring {who} back"),
        Doing::Renew => format!("Give {who} the new config"),
        Doing::Join => format!("Add {who}"),
        Doing::Leave => format!("Take out {who}"),
    }
}

fn drain(node: &str) -> String {
    format!("kubectl drain {node} --ignore-daemonsets --delete-emptydir-data --timeout=15m")
}

//! Settings of a profile that no node has.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span, closest};
use crate::line::Line;
use crate::plan::cluster::PlannedService;
use crate::plan::decide::fleet::DeclaredClass;
use crate::service::Value;
use crate::terms::Role;
use crate::yaml::{Map, Spanned};
use std::collections::{BTreeMap, BTreeSet};

/// The settings of the levels, and whether they change some node. Those that change none are
/// reported when all kinds of nodes are known.
#[derive(Default)]
pub(super) struct Effects {
    used: BTreeSet<Span>,
    unused: BTreeMap<Span, Diagnostic>,
}

impl Effects {
    /// What stands at `span` does something here, or not. Nothing is noted of what nobody wrote.
    pub(super) fn note(&mut self, span: Option<Span>, does_something: bool, otherwise: impl FnOnce() -> Diagnostic) {
        let Some(span) = span else { return };
        if does_something {
            self.used.insert(span);
        } else {
            self.unused.entry(span).or_insert_with(otherwise);
        }
    }

    /// Not if there are errors, which may be the reason.
    pub(super) fn report(self, found: &mut Diagnostics) {
        if found.has_errors() {
            return;
        }
        found.extend_with(self.unused.into_iter().filter(|(span, _)| !self.used.contains(span)).map(|(_, diagnostic)| diagnostic));
    }

    /// Entries that mappings remove.
    fn removals<V>(&mut self, map: &Map<V>, what: &str) {
        for (key, hit) in map.removals() {
            self.note(key.span, hit, || nothing_removed(key, &format!("no weaker level has the {what} `{}`", key.value)));
        }
    }

    pub(super) fn settings(&mut self, kind: &DeclaredClass, services: &[PlannedService], line: &Line) {
        let settings = &kind.settings;
        self.removals(&settings.labels, "label");
        self.removals(&settings.environment, "variable");
        self.removals(&settings.sysctl, "kernel parameter");
        self.removals(&settings.docker.log_opts, "option");
        self.removals(&settings.files, "file");
        self.removals(&settings.interfaces, "interface");
        for (_, interface) in settings.interfaces.iter() {
            self.removals(&interface.routes, "route");
        }
        for (key, hit) in settings.os.removals() {
            self.note(key.span, hit, || nothing_removed(key, &format!("no weaker level has the OS's key `{}` here", key.value)));
        }
        for (key, hit) in settings.components.removals() {
            self.note(key.span, hit, || {
                nothing_removed(key, "this doesn't remove a component")
                    .help(format!("`services: {{{}: ~}}` removes its service", key.value))
            });
        }
        for (key, hit) in settings.services.removals() {
            let of_line = || line.services.iter().map(|service| service.name.as_str());
            self.note(key.span, hit || of_line().any(|name| name == key.value), || {
                let nothing = nothing_removed(key, &format!("no service is named `{}`", key.value));
                match closest(&key.value, of_line()) {
                    Some(meant) => nothing.help(format!("did you mean `{meant}`?")),
                    None => nothing,
                }
            });
        }
        for planned in services {
            planned.service.visit(|key, value| match (key, value) {
                ("labels", Value::Vars(labels)) => self.removals(&labels.values, "label"),
                (_, Value::Vars(variables)) => self.removals(&variables.values, "variable"),
                (_, Value::Map(options)) => self.removals(options, "option"),
                (_, Value::Ints(limits)) => self.removals(limits, "limit"),
                _ => {}
            });
        }
        let has = |name: &str| services.iter().any(|planned| planned.name == name);
        for (name, _) in settings.components.iter() {
            self.note(name.span, has(&name.value), || {
                no_effect(name.span, &format!("none of these nodes has the component {}", name.value))
            });
        }
        let runs_pods = kind.roles.iter().any(|role| *role != Role::Etcd);
        let of_kubernetes = settings.labels.iter().map(|(key, _)| key.span).chain(settings.taints.iter().map(|taint| taint.span));
        for span in of_kubernetes {
            self.note(span, runs_pods, || no_effect(span, "none of these nodes is in Kubernetes"));
        }
    }
}

pub(super) fn nothing_removed(key: &Spanned<String>, problem: &str) -> Diagnostic {
    Diagnostic::new(Code::NoEffect, key.span, format!("`~` removes nothing: {problem}"))
        .why("the entry that you mean stays, under its real name")
        .help("remove the line, or write the name as the weaker level does")
}

fn no_effect(span: Option<Span>, problem: &str) -> Diagnostic {
    Diagnostic::new(Code::NoEffect, span, problem).why("it changes nothing on any node").help("set it for nodes that have it, or remove it")
}

//! A plan as text for a terminal, and as Markdown for a pull request.

use super::compare::Change;
use super::config::Thing;
use super::meaning;
use super::{Asked, NodeChange, Plan, State, Step};
use indexmap::IndexMap;
use std::fmt::Write;

/// More groups of nodes than this are only counted.
const GROUPS: usize = 20;
/// More names than this are only counted.
const NAMES: usize = 12;

/// A page's form.
trait Form {
    fn heading(&self, page: &mut String, text: &str);
    /// A number of commands, after a word of what they are.
    fn commands(&self, page: &mut String, word: &str, commands: &[String]);
    fn node(&self, page: &mut String, text: &str);
    fn thing(&self, page: &mut String, text: &str);
    fn change(&self, page: &mut String, text: &str);
    fn step(&self, page: &mut String, number: usize, title: &str);
    fn note(&self, page: &mut String, text: &str);
    /// What somebody typed or reads literally.
    fn code(&self, text: &str) -> String;
}

struct Terminal;
struct Markdown;

impl Form for Terminal {
    fn heading(&self, page: &mut String, text: &str) {
        let _ = writeln!(page, "\n{text}");
    }
    fn commands(&self, page: &mut String, word: &str, commands: &[String]) {
        if !commands.is_empty() && !word.is_empty() {
            let _ = writeln!(page, "    {word}:");
        }
        for command in commands {
            let _ = writeln!(page, "      {command}");
        }
    }
    fn node(&self, page: &mut String, text: &str) {
        let _ = writeln!(page, "  {text}");
    }
    fn thing(&self, page: &mut String, text: &str) {
        let _ = writeln!(page, "    {text}");
    }
    fn change(&self, page: &mut String, text: &str) {
        let _ = writeln!(page, "      {text}");
    }
    fn step(&self, page: &mut String, number: usize, title: &str) {
        let _ = writeln!(page, "\n  {number}. {title}");
    }
    fn note(&self, page: &mut String, text: &str) {
        let _ = writeln!(page, "    {text}");
    }
    fn code(&self, text: &str) -> String {
        text.to_owned()
    }
}

impl Form for Markdown {
    fn heading(&self, page: &mut String, text: &str) {
        let _ = writeln!(page, "\n### {text}\n");
    }
    fn commands(&self, page: &mut String, word: &str, commands: &[String]) {
        if commands.is_empty() {
            return;
        }
        let intro = if word.is_empty() { String::new() } else { format!("{word}:\n\n") };
        let _ = writeln!(page, "\n{intro}```sh\n{}\n```", commands.join("\n"));
    }
    fn node(&self, page: &mut String, text: &str) {
        let _ = writeln!(page, "- {text}");
    }
    fn thing(&self, page: &mut String, text: &str) {
        let _ = writeln!(page, "  - {text}");
    }
    fn change(&self, page: &mut String, text: &str) {
        let _ = writeln!(page, "    - {text}");
    }
    fn step(&self, page: &mut String, number: usize, title: &str) {
        let _ = writeln!(page, "\n#### {number}. {title}");
    }
    fn note(&self, page: &mut String, text: &str) {
        let _ = writeln!(page, "\n{text}");
    }
    fn code(&self, text: &str) -> String {
        let fence = "`".repeat(text.split(|c| c != '`').map(str::len).max().unwrap_or(0) + 1);
        let pad = if text.starts_with('`') || text.ends_with('`') || text.is_empty() { " " } else { "" };
        format!("{fence}{pad}{text}{pad}{fence}")
    }
}

/// A plan for a person at a terminal.
pub fn text(plan: &Plan) -> String {
    let mut page = String::new();
    let _ = writeln!(page, "{}: {}", plan.cluster, short(plan));
    write(plan, &Terminal, &mut page);
    page
}

/// The same for a pull request.
pub fn markdown(plan: &Plan) -> String {
    let mut page = format!("## {}: {}\n", Markdown.code(&plan.cluster), short(plan));
    write(plan, &Markdown, &mut page);
    while page.contains("\n\n\n") {
        page = page.replace("\n\n\n", "\n\n");
    }
    page
}

fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

/// The plan in a line.
fn short(plan: &Plan) -> String {
    if plan.is_empty() {
        return format!("nothing to do: {} is what the profile says", plan.from);
    }
    let of = |wanted: fn(&State) -> bool| plan.nodes.values().filter(|node| wanted(&node.state)).count();
    let parts = [
        (of(|state| matches!(state, State::Changed | State::Unclear | State::Away)), "node", "changes", "change"),
        (of(|state| matches!(state, State::New { .. })), "node", "comes", "come"),
        (of(|state| matches!(state, State::Gone { .. })), "node", "goes", "go"),
    ];
    let said = |(number, noun, one, many): (usize, &str, &str, &str)| {
        (number > 0).then(|| format!("{} {}", count(number, noun), if number == 1 { one } else { many }))
    };
    let mut said: Vec<String> = parts.into_iter().filter_map(said).collect();
    if said.is_empty() {
        said.push("no node changes".to_owned());
    }
    format!("{}, {} (since {})", said.join(", "), count(plan.steps.len(), "step"), plan.from)
}

fn write(plan: &Plan, form: &dyn Form, page: &mut String) {
    plan.cautions.iter().for_each(|caution| form.note(page, &format!("Before anything else: {caution}")));
    running(plan, form, page);
    if plan.is_empty() {
        return;
    }
    if !plan.versions.is_empty() {
        form.heading(page, "Versions");
        for (component, old, new) in &plan.versions {
            form.node(page, &format!("{component} {} → {}", form.code(old), form.code(new)));
        }
    }
    form.heading(page, "What changes");
    groups(plan, form, page);
    if !plan.images.is_empty() {
        let images: Vec<String> = plan.images.iter().map(|image| form.code(image)).collect();
        form.node(page, &format!("images that nodes don't have yet: {}", images.join(", ")));
    }
    if !plan.files.is_empty() {
        form.node(page, &format!("other files: {}", names(plan.files.iter().map(|file| form.code(file)))));
    }
    form.heading(page, "Steps");
    if !plan.setup.is_empty() {
        form.note(page, "First, once in the shell that you use:");
        form.commands(page, "", &plan.setup);
    }
    for (number, step) in plan.steps.iter().enumerate() {
        write_step(number + 1, step, form, page);
    }
    let waiting = plan.nodes.iter().filter(|(_, node)| node.state == State::Changed && node.effect == Some(meaning::Effect::NextBoot));
    let waiting: Vec<String> = waiting.map(|(name, _)| form.code(name)).collect();
    if !waiting.is_empty() {
        form.heading(page, "Without a step");
        form.note(page, &format!("These take their config when they boot the next time: {}", names(waiting.into_iter())));
    }
}

/// What each node says that it runs: those that say the same, together.
fn running(plan: &Plan, form: &dyn Form, page: &mut String) {
    if plan.running.is_empty() {
        return;
    }
    form.heading(page, "What runs");
    let mut groups: IndexMap<(String, &[String]), Vec<String>> = IndexMap::new();
    for (name, Asked { config, tree, says, .. }) in &plan.running {
        let what = match (tree, config) {
            (Some(tree), _) => tree.clone(),
            (None, Some(config)) => format!("the config {}, which nobody knows", form.code(config)),
            (None, None) => "nothing that it says".to_owned(),
        };
        groups.entry((what, says)).or_default().push(form.code(name));
    }
    for ((what, says), members) in groups {
        form.node(page, &format!("{}: {what}", names(members.into_iter())));
        says.iter().for_each(|says| form.thing(page, says));
    }
}

fn names(all: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = all.collect();
    match all.len() {
        0..=NAMES => all.join(", "),
        many => format!("{} and {} more", all[..NAMES].join(", "), many - NAMES),
    }
}

/// Nodes with the same changes, together.
fn groups(plan: &Plan, form: &dyn Form, page: &mut String) {
    let mut groups: Vec<(&NodeChange, Vec<&String>)> = Vec::new();
    let mut index = std::collections::HashMap::new();
    for (name, node) in &plan.nodes {
        let key = format!("{node:?}");
        let at = *index.entry(key).or_insert_with(|| {
            groups.push((node, Vec::new()));
            groups.len() - 1
        });
        groups[at].1.push(name);
    }
    for (node, members) in groups.iter().take(GROUPS) {
        let who = names(members.iter().map(|name| form.code(name)));
        let roles = if node.roles.is_empty() { String::new() } else { format!(" ({})", node.roles.join(", ")) };
        let what = match (&node.state, node.effect) {
            (State::New { was: Some(was) }, _) => format!("new, on the machine that was {}", form.code(was)),
            (State::New { was: None }, _) => "new".to_owned(),
            (State::Gone { becomes: Some(becomes) }, _) => format!("goes; its machine becomes {}", form.code(becomes)),
            (State::Gone { becomes: None }, _) => "goes".to_owned(),
            (State::Changed, Some(_)) if node.changes.is_empty() => "only the comment in its config".to_owned(),
            (State::Unclear, effect) => {
                format!("{}; nobody knows what changes", effect.map_or("", meaning::Effect::words))
            }
            _ if node.another_machine => "gets another machine".to_owned(),
            (State::Away, _) => "isn't Ready; gets its config again, and is rebooted".to_owned(),
            (State::Changed, effect) => effect.map_or("", meaning::Effect::words).to_owned(),
        };
        form.node(page, &format!("{who}{roles}: {what}"));
        things(&node.changes, form, page);
    }
    let more: usize = groups.iter().skip(GROUPS).map(|(_, members)| members.len()).sum();
    if more > 0 {
        form.node(page, &format!("{} more, each with other changes: --format json has all", count(more, "node")));
    }
}

fn things(changes: &[Change], form: &dyn Form, page: &mut String) {
    let mut last: Option<&Thing> = None;
    for change in changes {
        let name = match &change.thing {
            Thing::Setting => &change.key,
            Thing::Service(name) | Thing::File(name) => name,
        };
        let is_whole = change.key.is_empty();
        let says = meaning::says(&change.thing, &change.key).map(|says| format!(" ({says})")).unwrap_or_default();
        if change.thing == Thing::Setting {
            form.thing(page, &format!("{}{says}", value(name, change, form)));
            continue;
        }
        if is_whole {
            let word = if change.old.is_some() { "is removed" } else { "is new" };
            let image = change.old.as_ref().or(change.new.as_ref()).filter(|image| !image.is_empty());
            let image = image.map(|image| format!(": {}", form.code(image))).unwrap_or_default();
            form.thing(page, &format!("{} {word}{image}", form.code(name)));
            continue;
        }
        if last != Some(&change.thing) {
            form.thing(page, &format!("{}{says}", form.code(name)));
        }
        form.change(page, &value(&change.key, change, form));
        last = Some(&change.thing);
    }
}

fn value(key: &str, change: &Change, form: &dyn Form) -> String {
    match (&change.old, &change.new) {
        (Some(old), Some(new)) => format!("{}: {} → {}", form.code(key), form.code(old), form.code(new)),
        (Some(old), None) => format!("{}: without {}", form.code(key), form.code(old)),
        (None, Some(new)) => format!("{}: now with {}", form.code(key), form.code(new)),
        (None, None) => form.code(key),
    }
}

fn write_step(number: usize, step: &Step, form: &dyn Form, page: &mut String) {
    form.step(page, number, &step.title);
    step.notes.iter().for_each(|note| form.note(page, note));
    if step.nodes.len() > 1 {
        let pace = match step.at_once {
            1 => "one at a time".to_owned(),
            all if all >= step.nodes.len() => "all at the same time".to_owned(),
            some => format!("up to {some} at a time"),
        };
        form.note(page, &format!("For each of these, {pace}:"));
        let each: Vec<String> = step.nodes.iter().map(|node| format!("NODE={} ADDRESS={}", node.name, node.address)).collect();
        form.commands(page, "", &each);
    }
    form.commands(page, "run", &step.run);
    form.commands(page, "until this succeeds", &step.until);
}

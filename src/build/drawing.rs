//! The picture of the start order.

use crate::plan::{Class, Cluster, Graph};
use minijinja::HtmlEscape;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

const WIDTH: usize = 190;
const HEIGHT: usize = 26;
const GAP_X: usize = 60;
const GAP_Y: usize = 12;
const MARGIN: usize = 20;

/// A picture with a part for each set of roles, in which services start from left to right.
pub fn start_order(cluster: &Cluster) -> String {
    let (mut body, mut top, mut width) = (String::new(), MARGIN, 0);
    for order in orders(cluster) {
        let _ = writeln!(body, r##"<text x="{MARGIN}" y="{}" class="title">{}</text>"##, top + 14, order.roles);
        let (right, bottom) = part(&mut body, &order, top + 26);
        width = width.max(right);
        top = bottom + 2 * MARGIN;
    }
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{1}" viewBox="0 0 {0} {1}" font-family="sans-serif" font-size="12">
<title>Start order of cluster {2}</title>
<style>
.title {{ font-size: 15px; font-weight: bold }}
.box {{ fill: #eef4fb; stroke: #4878a8 }}
.os {{ fill: #f4f4f4; stroke: #999 }}
.edge {{ fill: none; stroke: #888 }}
</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#888"/></marker></defs>
<rect width="100%" height="100%" fill="white"/>
{body}</svg>
"##,
        width + MARGIN,
        top,
        HtmlEscape(&cluster.name)
    )
}

/// The start order of the nodes with the same roles.
pub(super) struct Order<'c> {
    /// `control-plane + worker`
    pub roles: String,
    /// Each service, and the number of steps from the start to it.
    pub columns: BTreeMap<&'c str, usize>,
    /// Who starts directly before whom.
    pub edges: Vec<(&'c str, &'c str)>,
    class: &'c Class,
}

/// One for each set of roles: that of the class with the most services.
pub(super) fn orders(cluster: &Cluster) -> Vec<Order<'_>> {
    let mut by_roles: BTreeMap<String, &Class> = BTreeMap::new();
    for class in &cluster.classes {
        let fuller = |old: &&Class| old.services.len() >= class.services.len();
        let roles = roles(class);
        if !by_roles.get(&roles).is_some_and(fuller) {
            by_roles.insert(roles, class);
        }
    }
    by_roles.into_iter().map(|(roles, class)| Order::of(roles, class)).collect()
}

/// `control-plane + worker`
pub(super) fn roles(class: &Class) -> String {
    class.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" + ")
}

impl<'c> Order<'c> {
    fn of(roles: String, class: &'c Class) -> Self {
        let shown = shown(class);
        let edges = reduced(&class.graph, &shown);
        Self { roles, columns: columns(&shown, &edges), edges, class }
    }

    /// Whether the OS has the service by itself.
    pub(super) fn is_os(&self, name: &str) -> bool {
        self.class.services.iter().all(|planned| planned.name != name)
    }
}

/// Draws one order below `top`. Returns the right and lower edges of the drawing.
fn part(body: &mut String, order: &Order, top: usize) -> (usize, usize) {
    let mut rows: BTreeMap<usize, usize> = BTreeMap::new();
    let mut places: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (name, column) in &order.columns {
        let row = rows.entry(*column).or_default();
        places.insert(name, (MARGIN + column * (WIDTH + GAP_X), top + *row * (HEIGHT + GAP_Y)));
        *row += 1;
    }
    for (earlier, later) in &order.edges {
        let ((x1, y1), (x2, y2)) = (places[earlier], places[later]);
        let (x1, y1, y2) = (x1 + WIDTH, y1 + HEIGHT / 2, y2 + HEIGHT / 2);
        let bend = GAP_X / 2;
        let _ = writeln!(
            body,
            r##"<path class="edge" marker-end="url(#tip)" d="M{x1} {y1}C{} {y1} {} {y2} {x2} {y2}"/>"##,
            x1 + bend,
            x2.saturating_sub(bend)
        );
    }
    for (name, (x, y)) in &places {
        let style = if order.is_os(name) { "os" } else { "box" };
        let _ = writeln!(body, r##"<rect class="{style}" x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="4"/>"##);
        let _ = writeln!(body, r##"<text x="{}" y="{}" text-anchor="middle">{}</text>"##, x + WIDTH / 2, y + 17, HtmlEscape(name));
    }
    let right = places.values().map(|(x, _)| x + WIDTH).max().unwrap_or(0);
    let bottom = places.values().map(|(_, y)| y + HEIGHT).max().unwrap_or(top);
    (right, bottom)
}

/// The plan's services and the OS's services for which they wait, without volume containers.
fn shown(class: &Class) -> BTreeSet<&str> {
    let ours: BTreeSet<&str> = class.services.iter().map(|planned| planned.name.as_str()).collect();
    let mut shown = ours.clone();
    let mut grew = true;
    while grew {
        let earlier = class.graph.dependencies.iter().filter(|one| shown.contains(one.later.as_str())).map(|one| one.earlier.as_str());
        let more: Vec<&str> = earlier.filter(|name| !name.ends_with("-volumes") && !shown.contains(name)).collect();
        grew = !more.is_empty();
        shown.extend(more);
    }
    shown.retain(|name| !name.ends_with("-volumes"));
    shown
}

/// The dependencies among `shown` that don't follow from others.
fn reduced<'a>(graph: &'a Graph, shown: &BTreeSet<&str>) -> Vec<(&'a str, &'a str)> {
    let edges: BTreeSet<(&str, &str)> = graph
        .dependencies
        .iter()
        .map(|one| (one.earlier.as_str(), one.later.as_str()))
        .filter(|(earlier, later)| shown.contains(earlier) && shown.contains(later))
        .collect();
    let reaches = |from: &str, to: &str| {
        let mut stack: Vec<&str> =
            edges.iter().filter(|(earlier, later)| *earlier == from && *later != to).map(|(_, later)| *later).collect();
        let mut seen = BTreeSet::new();
        while let Some(name) = stack.pop() {
            if name == to {
                return true;
            }
            if seen.insert(name) {
                stack.extend(edges.iter().filter(|(earlier, _)| *earlier == name).map(|(_, later)| *later));
            }
        }
        false
    };
    edges.iter().copied().filter(|(earlier, later)| !reaches(earlier, later)).collect()
}

/// The number of steps from the start to each service.
fn columns<'a>(shown: &BTreeSet<&'a str>, edges: &[(&'a str, &'a str)]) -> BTreeMap<&'a str, usize> {
    let mut columns: BTreeMap<&str, usize> = shown.iter().map(|name| (*name, 0)).collect();
    for _ in 0..shown.len() {
        for (earlier, later) in edges {
            let least = columns[earlier] + 1;
            if let Some(column) = columns.get_mut(later).filter(|column| **column < least) {
                *column = least;
            }
        }
    }
    columns
}

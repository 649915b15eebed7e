//! Reads the manifests that a profile names, and renders its kustomizations and charts.

use super::render::{Place, RenderedChart, Renderer};
use crate::diagnostic::Sources;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span};
use crate::image::{Lock, Need, Store};
use crate::line::{Line, Lines, entries};
use crate::manifest::{self, Object, Schema};
use crate::profile::{Chart, ChartPlace, Profile, is_label};
use crate::yaml::{Field, Given, Spanned};
use camino::{Utf8Path, Utf8PathBuf};
use std::collections::BTreeSet;
use std::io::{ErrorKind, Read};

/// The maximal number of files.
const FILES: usize = 1000;
/// The maximal number of charts.
const CHARTS: usize = 100;
/// The maximal size of all texts together, in bytes: bundles of definitions have several MiB.
pub(super) const LARGEST: u64 = 8 << 20;
/// The endings of files with manifests.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];
/// The names of a kustomization's own file.
const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
/// The maximal length of a release's name: Helm's.
const RELEASE: usize = 53;
/// Why every object that is named must be there.
const LACKS: &str = "the cluster would lack what is in it";
/// Why manifests are bounded.
const IN_CONFIGS: &str = "every control-plane node has all of them in its config";
/// What to do about it.
const LATER: &str = "leave out what can be applied later, by `kubectl apply`";
/// The annotation by which Helm knows what it does before and after an installation.
const HOOK: &str = "helm.sh/hook";

/// What is beside the profile.
pub(super) struct Beside<'b> {
    /// The profile's folder.
    pub folder: &'b Utf8Path,
    pub lines: &'b Lines,
    pub lock: Option<&'b Lock>,
    /// The lock's path, for messages.
    pub lock_file: Utf8PathBuf,
    /// `remuda VERB PROFILE`, for messages.
    pub command: &'b dyn Fn(&str) -> String,
}

/// The archives of charts that come from URLs.
pub(super) fn needs(profile: &Profile) -> Vec<Need> {
    let charts = profile.manifests.charts.iter().filter_map(|(_, chart)| chart.chart.get());
    let need = |place: &Spanned<ChartPlace>| match &place.value {
        ChartPlace::Url(url) => Some(Need::Url { url: url.0.clone(), digest: None, span: place.span }),
        ChartPlace::Path(_) => None,
    };
    let mut needs: Vec<Need> = charts.filter_map(need).collect();
    needs.sort_by_key(Need::to_string);
    needs.dedup_by_key(|need| need.to_string());
    needs
}

/// A text with objects that the profile names.
enum Named {
    File(Utf8PathBuf),
    /// The folder, relative to the profile's.
    Kustomization(Utf8PathBuf),
}

/// The objects in the files that the profile names, in the order of their paths, then those of its charts.
pub(super) fn read(profile: &Profile, beside: &Beside, sources: &mut Sources, found: &mut Diagnostics) -> Vec<Object> {
    let mut files: Vec<(Named, Option<Span>)> = Vec::new();
    for given in profile.manifests.files.iter() {
        match files_of(beside.folder, Utf8Path::new(&given.0)) {
            Ok(more) => files.extend(more.into_iter().map(|file| (file, given.span))),
            Err(problem) => found.push(no_file(given.span, problem)),
        }
    }
    for (what, count, limit) in [("files", files.len(), FILES), ("charts", profile.manifests.charts.iter().count(), CHARTS)] {
        if count > limit {
            let says = format!("`manifests.{what}` has {count} {what}; the limit is {limit}");
            found.push(Diagnostic::new(Code::TooLarge, profile.manifests.span, says).why(IN_CONFIGS));
            return Vec::new();
        }
    }
    let mut objects = Vec::new();
    let mut left = LARGEST;
    for (named, span) in files {
        let text = match named {
            Named::File(path) => match text_of(&path) {
                Ok(text) => Some((path.into_string(), text)),
                Err(problem) => {
                    found.push(no_file(span, problem));
                    None
                }
            },
            Named::Kustomization(folder) => kustomization(beside, &folder, span, found),
        };
        let Some((name, text)) = text else { continue };
        let Some(rest) = left.checked_sub(text.len() as u64) else {
            found.push(Diagnostic::new(Code::TooLarge, span, too_large()).why(IN_CONFIGS).help(LATER));
            return objects;
        };
        left = rest;
        objects.extend(parsed(name, text, sources, found));
    }
    for name in profile.manifests.charts.removed() {
        found.push(Diagnostic::new(Code::NoEffect, name.span, "`~` removes nothing: no weaker level has charts").help("remove the line"));
    }
    // A line that can't be read is reported where it is decided.
    let Some(target) = ForLine::of(profile, beside.lines) else { return objects };
    for (name, chart, text) in rendered(profile, beside, &target, &objects, left, found) {
        let own = parsed(format!("chart {} (rendered)", name.value), text, sources, found);
        let own = without_hooks(own, name, found);
        objects.extend(in_namespace(own, chart, &target, &objects));
    }
    objects
}

fn too_large() -> String {
    format!("the manifests have more than {} MiB", LARGEST >> 20)
}

fn parsed(name: String, text: String, sources: &mut Sources, found: &mut Diagnostics) -> Vec<Object> {
    let source = sources.add(name, text, true);
    manifest::read(&sources.get(source).text, source, found)
}

fn no_file(span: Option<Span>, problem: String) -> Diagnostic {
    Diagnostic::new(Code::NoManifestFile, span, problem)
        .why(LACKS)
        .help("write the path of a file, or of a folder with .yaml, .yml or .json files, relative to the profile's folder")
}

fn no_program(span: Option<Span>, says: &str, help: String) -> Diagnostic {
    Diagnostic::new(Code::NoProgram, span, says)
        .why("remuda renders with the program itself, and nodes don't have it: the cluster would lack what is in it")
        .help(help)
}

fn not_rendered(span: Option<Span>, says: String) -> Diagnostic {
    Diagnostic::new(Code::NotRendered, span, says).why(LACKS)
}

/// The path itself, or the files with manifests in the folder; or the kustomization that it is.
fn files_of(folder: &Utf8Path, given: &Utf8Path) -> Result<Vec<Named>, String> {
    let path = folder.join(given);
    if !path.exists() {
        return Err(format!("{path} doesn't exist"));
    }
    if !path.is_dir() {
        let is_kustomization = path.file_name().is_some_and(|name| KUSTOMIZATIONS.contains(&name));
        let own = given.parent().unwrap_or(Utf8Path::new(""));
        return Ok(vec![if is_kustomization { Named::Kustomization(own.to_owned()) } else { Named::File(path) }]);
    }
    if KUSTOMIZATIONS.iter().any(|name| path.join(name).exists()) {
        return Ok(vec![Named::Kustomization(given.to_owned())]);
    }
    let mut files = Vec::new();
    for entry in path.read_dir_utf8().map_err(|error| format!("{path} can't be read: {error}"))? {
        let file = entry.map_err(|error| format!("{path} can't be read: {error}"))?.into_path();
        if file.extension().is_some_and(|ending| ENDINGS.contains(&ending)) && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(format!("{path} has no .yaml, .yml or .json file"));
    }
    Ok(files.into_iter().map(Named::File).collect())
}

fn text_of(path: &Utf8Path) -> Result<String, String> {
    let mut text = String::new();
    let file = fs_err::File::open(path).map_err(|error| error.to_string())?;
    // A pipe or a device would never end.
    if !file.metadata().is_ok_and(|it| it.is_file()) {
        return Err(format!("{path} is no file"));
    }
    match file.take(LARGEST + 1).read_to_string(&mut text) {
        Ok(length) if length as u64 > LARGEST => Err(format!("{path} has more than {} MiB", LARGEST >> 20)),
        Ok(_) => Ok(text),
        Err(error) if error.kind() == ErrorKind::InvalidData => Err(format!("{path} isn't UTF-8 text")),
        Err(error) => Err(format!("{path} can't be read: {error}")),
    }
}

/// The rendered text of a kustomization, and its name for messages.
fn kustomization(beside: &Beside, folder: &Utf8Path, span: Option<Span>, found: &mut Diagnostics) -> Option<(String, String)> {
    let path = beside.folder.join(folder);
    let wrong = match Renderer::new(beside.folder).map(|renderer| renderer.kustomization(folder)) {
        Ok(Some(Ok(text))) => return Some((format!("{path} (rendered)"), text)),
        Ok(None) => no_program(
            span,
            "neither kustomize nor kubectl is on the PATH, and this is a kustomization",
            format!("install one of them, or name in `files` what `kubectl kustomize {path}` prints where kubectl is"),
        ),
        Ok(Some(Err(problem))) | Err(problem) => not_rendered(span, format!("this kustomization can't be rendered: {problem}"))
            .help("correct it; what it names must be next to the profile: nothing is fetched"),
    };
    found.push(wrong);
    None
}

/// What charts see of the line.
struct ForLine {
    /// The version of its Kubernetes.
    kubernetes: String,
    schema: Schema,
}

impl ForLine {
    /// `None` if there are no charts, or no line.
    fn of(profile: &Profile, lines: &Lines) -> Option<Self> {
        profile.manifests.charts.iter().next()?;
        // Its mistakes are reported where it is decided.
        let (sources, found) = (&mut Sources::default(), &mut Diagnostics::default());
        let mut line = Line::load(&profile.line.value()?.0, &profile.addons, lines, sources, found)?;
        line.components.merge(&profile.images.components);
        let kubernetes = line.components.get("kube-apiserver")?.version.value()?.text.clone();
        let schema = line.objects.as_ref().and_then(|list| Schema::read(entries(list, &kubernetes)).ok()).unwrap_or_default();
        Some(Self { kubernetes, schema })
    }
}

/// The texts that charts are rendered to. Each sees what all definitions of custom resources in the manifests serve.
fn rendered<'p>(
    profile: &'p Profile,
    beside: &Beside,
    target: &ForLine,
    objects: &[Object],
    room: u64,
    found: &mut Diagnostics,
) -> Vec<(&'p Spanned<String>, &'p Chart, String)> {
    let prepared = |(name, chart)| Some((name, chart, prepared(beside, target, name, chart, found)?));
    let charts: Vec<(&Spanned<String>, &Chart, RenderedChart)> = profile.manifests.charts.iter().filter_map(prepared).collect();
    let render = |served: &BTreeSet<String>| -> Vec<Helm> {
        let mut left = Some(room);
        let within = |(_, _, chart): &(_, _, RenderedChart)| {
            let Some(room) = left else { return Some(Err(too_large())) };
            let text = helm(beside, chart, served);
            left = room.checked_sub(text.as_ref().and_then(|text| text.as_ref().ok()).map_or(0, |text| text.len() as u64));
            if left.is_none() { Some(Err(too_large())) } else { text }
        };
        charts.iter().map(within).collect()
    };
    let of_line = target.schema.served().into_iter().map(str::to_owned);
    let mut served: BTreeSet<String> = of_line.chain(objects.iter().flat_map(Object::defines)).collect();
    let mut once = render(&served);
    let defined: BTreeSet<String> = once.iter().flatten().flatten().flat_map(|text| defined(text)).collect();
    if !defined.is_subset(&served) {
        served.extend(defined);
        once = render(&served);
    }
    // From scratch: what a chart makes up is another one then.
    let again = render(&served);
    let both = charts.into_iter().zip(once.into_iter().zip(again));
    both.filter_map(|((name, chart, _), (one, other))| Some((name, chart, same(one, other, name, found)?))).collect()
}

/// What the definitions of custom resources in a text serve. What is wrong with them is reported when they are applied.
fn defined(text: &str) -> Vec<String> {
    if !text.contains("CustomResourceDefinition") {
        return Vec::new();
    }
    let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
    let objects = parsed(String::new(), text.to_owned(), &mut sources, &mut found);
    objects.iter().flat_map(Object::defines).collect()
}

/// A chart and its values, ready to be rendered.
fn prepared<'c>(
    beside: &Beside,
    target: &'c ForLine,
    name: &'c Spanned<String>,
    chart: &'c Chart,
    found: &mut Diagnostics,
) -> Option<RenderedChart<'c>> {
    let is_named = is_label(&name.value, RELEASE).map_err(|problem| {
        found.push(
            Diagnostic::new(Code::InvalidName, name.span, problem)
                .why("Helm refuses such a name of a release")
                .help(format!("use at most {RELEASE} lower-case letters, digits and dashes")),
        );
    });
    let (place, values) = (place(beside, name, chart, found), values(beside, chart, found));
    let (place, values) = (place.filter(|_| is_named.is_ok() && !chart.namespace.is_bad())?, values?);
    let namespace = chart.namespace.value().map_or("default", |namespace| namespace.0.as_str());
    Some(RenderedChart { name: &name.value, place, namespace, kubernetes: &target.kubernetes, values })
}

/// What Helm prints, or what is wrong; `None` if there is no Helm.
type Helm = Option<Result<String, String>>;

fn helm(beside: &Beside, chart: &RenderedChart, served: &BTreeSet<String>) -> Helm {
    match Renderer::new(beside.folder) {
        Ok(renderer) => renderer.chart(chart, served),
        Err(problem) => Some(Err(problem)),
    }
}

/// The text of a chart that is rendered to the same both times.
fn same(one: Helm, other: Helm, name: &Spanned<String>, found: &mut Diagnostics) -> Option<String> {
    let wrong = match (one, other) {
        (Some(Ok(one)), Some(Ok(other))) => match varying(&one, &other) {
            None => return Some(one),
            Some(template) => {
                Diagnostic::new(Code::ChartVaries, name.span, format!("this chart makes something up: {template} is another one each time"))
                    .why("each run would give the nodes other objects, and nobody could check what they run")
                    .help("set by `values` what it makes up, often a password or a certificate, or the name of a Secret that has it")
            }
        },
        (None, _) | (_, None) => no_program(
            name.span,
            "helm isn't on the PATH, and this is a chart",
            "install Helm (https://helm.sh/docs/intro/install/), or name in `files` what `helm template` prints where Helm is".to_owned(),
        ),
        (Some(Err(problem)), _) | (_, Some(Err(problem))) => not_rendered(name.span, format!("this chart can't be rendered: {problem}"))
            .help("correct the values or the chart; what it depends on must be in its folder `charts/`: nothing is fetched"),
    };
    found.push(wrong);
    None
}

/// The texts of a chart's values, the strongest last.
fn values(beside: &Beside, chart: &Chart, found: &mut Diagnostics) -> Option<Vec<String>> {
    let mut values = Vec::new();
    for file in chart.values_files.iter() {
        match text_of(&beside.folder.join(&file.0)) {
            Ok(text) => values.push(text),
            Err(problem) => found.push(
                Diagnostic::new(Code::NoManifestFile, file.span, problem)
                    .why("the chart would be rendered with other values")
                    .help("write the path of a file of values, relative to the profile's folder"),
            ),
        }
    }
    let is_whole = values.len() == chart.values_files.iter().count();
    values.extend(chart.values.0.as_ref().map(manifest::text));
    is_whole.then_some(values)
}

/// The chart on this machine.
fn place(beside: &Beside, name: &Spanned<String>, chart: &Chart, found: &mut Diagnostics) -> Option<Place> {
    let given = match &chart.chart {
        Given::Is(given) => given,
        Given::Bad => return None,
        Given::Absent => {
            let says = format!("the chart {} has no `chart`", name.value);
            let help = format!("write `{}: {{chart: charts/{0}}}`", name.value);
            found.push(Diagnostic::new(Code::MissingKey, name.span, says).why(LACKS).help(help));
            return None;
        }
    };
    let wrong = match &given.value {
        ChartPlace::Path(path) if beside.folder.join(&path.0).exists() => return Some(Place::Beside(Utf8PathBuf::from(&path.0))),
        ChartPlace::Path(path) => {
            Diagnostic::new(Code::NoManifestFile, given.span, format!("{} doesn't exist", beside.folder.join(&path.0)))
                .why(LACKS)
                .help("write the path of a chart's folder or .tgz archive, relative to the profile's folder")
        }
        ChartPlace::Url(url) => match (beside.lock.and_then(|lock| lock.file(&url.0)), Store::of_user()) {
            (Some(locked), Ok(store)) if store.has(&locked.blob()) => return Some(Place::Cached(store.path(&locked.digest))),
            (Some(_), Ok(_)) => not_rendered(given.span, format!("{url} isn't in the cache"))
                .help(format!("run `{}`, which fetches it", (beside.command)("image fetch"))),
            (Some(_), Err(error)) => not_rendered(given.span, error.to_string()).help("set HOME, or XDG_CACHE_HOME"),
            (None, _) => Diagnostic::new(Code::NotLocked, given.span, format!("{url} isn't in {}", beside.lock_file))
                .why("without its digest, two builds may put different objects into the cluster")
                .help(format!("run `{}` and commit {}", (beside.command)("lock"), beside.lock_file)),
        },
    };
    found.push(wrong);
    None
}

/// The template of the first line that differs.
fn varying(one: &str, other: &str) -> Option<String> {
    if one == other {
        return None;
    }
    let mut template = "what it prints";
    for (line, again) in one.lines().zip(other.lines()) {
        if line != again {
            break;
        }
        // Helm's own comment, before each object.
        template = line.strip_prefix("# Source: ").unwrap_or(template);
    }
    Some(crate::program::plain(template).chars().take(200).collect())
}

/// The objects without hooks. Helm makes them at certain moments of an installation; nobody else does.
fn without_hooks(objects: Vec<Object>, name: &Spanned<String>, found: &mut Diagnostics) -> Vec<Object> {
    let hook = |object: &Object| object.annotation(HOOK).map(str::to_owned).filter(|hook| !hook.contains("crd-install"));
    let (hooks, objects): (Vec<Object>, Vec<Object>) = objects.into_iter().partition(|object| hook(object).is_some());
    // Tests are for `helm test`.
    let missed: Vec<&Object> = hooks.iter().filter(|object| hook(object).is_some_and(|hook| !hook.starts_with("test"))).collect();
    if let Some(first) = missed.first() {
        let says = format!("nobody runs the hooks of this chart, like {}", first.title());
        let says =
            missed.iter().fold(Diagnostic::new(Code::ChartHook, name.span, says), |says, hook| says.related(hook.kind.span, "a hook"));
        found.push(
            says.why("Helm makes such objects before or after an installation; no node has Helm")
                .help("switch them off by `values`, or do what they do by manifests of your own; if the chart works without them, say so: `# remuda: allow chart-hook`"),
        );
    }
    objects
}

/// The objects in the chart's namespace, as Helm puts them there.
fn in_namespace(mut objects: Vec<Object>, chart: &Chart, target: &ForLine, others: &[Object]) -> Vec<Object> {
    let Some(namespace) = chart.namespace.get() else { return objects };
    let of_cluster: Vec<(String, String)> = objects.iter().chain(others).filter_map(Object::cluster_kind).collect();
    for object in &mut objects {
        let is_custom = || of_cluster.iter().any(|(group, kind)| object.group() == group && object.kind.value == *kind);
        if object.namespace.is_none() && !target.schema.is_of_cluster(object) && !is_custom() {
            object.put_into(&Spanned { value: namespace.0.clone(), span: namespace.span });
        }
    }
    objects
}

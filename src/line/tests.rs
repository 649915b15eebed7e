use super::*;
use crate::diagnostic::{Style, text};
use crate::node::{self, Contexts};
use crate::plan::{self, Cluster, Known};
use crate::profile::{self, AddOns};
use tempfile::TempDir;

const LINE: &str = include_str!("../../templates/kubernetes-1.20/line.yaml");
const BASE: &str = include_str!("../../templates/kubernetes/base.yaml");
const PROFILE: &str = "\
cluster: a
target: rancheros-1.5
line: kubernetes-1.20
network: {nodes: 10.0.0.0/16, gateway: 10.0.0.1}
defaults:
  ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN1YdxBpNlzxDqfJyw/QKow1F+wvG9hXGoqiysfJOn5Y a@b]
nodes: {one: {roles: [control-plane, worker], address: 10.0.0.2}}
";

/// A folder of templates with these files.
struct Folder {
    lines: Lines,
    _folder: TempDir,
}

fn folder(files: &[(&str, &str)]) -> Folder {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    Folder { lines: Lines { folder: Some(folder.path().to_path_buf().try_into().unwrap()) }, _folder: folder }
}

/// All that is found on the way to the node's config.
struct Outcome {
    cluster: Option<Cluster>,
    sources: Sources,
    found: Diagnostics,
}

fn compile(folder: &Folder, profile: &str) -> Outcome {
    let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
    let profile = profile::read(&mut sources, "p.yaml", profile.to_owned(), &mut found).unwrap();
    let cluster = plan::decide(&profile, &folder.lines, Known::default(), &mut sources, &mut found);
    let cluster = cluster.map(|draft| draft.with(Vec::new()));
    if let Some(cluster) = &cluster {
        node::lower(cluster.node_at(0), &Contexts::new(cluster), &mut found);
    }
    Outcome { cluster, sources, found }
}

impl Outcome {
    fn text(&self) -> String {
        text(&self.found, &self.sources, Style::Plain)
    }

    fn codes(&self) -> Vec<&'static str> {
        let mut codes: Vec<_> = self.found.sorted().iter().map(|one| one.code.name()).collect();
        codes.sort_unstable();
        codes
    }

    /// The one thing that was found: code, message, file and marked text.
    fn one(&self) -> (&'static str, &str, &str, &str) {
        let [one] = self.found.sorted()[..] else { panic!("{}", self.text()) };
        let place = one.span.map(|span| {
            let source = self.sources.get(span.source);
            assert!(!source.is_profile);
            (source.name.as_str(), &source.text[span.start as usize..span.end as usize])
        });
        let (file, marked) = place.unwrap_or_default();
        (one.code.name(), &one.message, file, marked)
    }
}

/// What comes of the built-in line with one file changed.
fn with(path: &str, text: &str) -> Outcome {
    compile(&folder(&[(&format!("kubernetes-1.20/{path}"), text)]), PROFILE)
}

/// What comes of the built-in line on another base.
fn on(base: &str) -> Outcome {
    compile(&folder(&[("kubernetes/base.yaml", base)]), PROFILE)
}

/// The services with shared mounts.
const UNSHARED: [(&str, &str); 3] = [
    ("shared/services/user-volumes.yaml", include_str!("../../templates/shared/services/user-volumes.yaml")),
    ("kubernetes-containerd/services/kubelet.yaml", include_str!("../../templates/kubernetes-containerd/services/kubelet.yaml")),
    ("kubernetes-containerd/services/containerd.yaml", include_str!("../../templates/kubernetes-containerd/services/containerd.yaml")),
];
const PROXY: &str = include_str!("../../templates/kubernetes/services/kube-proxy.yaml");

#[test]
fn every_built_in_line_can_be_loaded() {
    let (lines, mut sources, mut found) = (Lines::default(), Sources::default(), Diagnostics::default());
    let names = lines.names();
    assert!(!names.is_empty());
    for name in names {
        let line = Line::load(&name, &AddOns::default(), &lines, &mut sources, &mut found);
        assert!(found.is_empty(), "{}", text(&found, &sources, Style::Plain));
        let line = line.unwrap();
        for service in &line.services {
            assert!(service.component.as_ref().is_none_or(|component| line.components.get(component).is_some()), "{}", service.name);
        }
        assert!(line.services.iter().any(|service| service.name == line.file_writer));
    }
}

#[test]
fn a_folder_with_one_service_changes_that_service_alone() {
    let outcome = with("services/kube-proxy.yaml", &PROXY.replace("privileged: true", "privileged: false"));
    assert!(outcome.found.is_empty(), "{}", outcome.text());
    let cluster = outcome.cluster.unwrap();
    let privileged = |name| {
        let planned = cluster.classes[0].services.iter().find(|planned| planned.name == name).unwrap();
        planned.service.privileged.value().unwrap().0
    };
    assert!(!privileged("kube-proxy"));
    assert!(privileged("flannel"));
}

#[test]
fn a_folder_adds_a_line_beside_the_built_in_ones() {
    let folder = folder(&[("mine/line.yaml", LINE), ("no-line/readme", "")]);
    assert_eq!(
        folder.lines.names(),
        ["kubernetes-1.20", "kubernetes-1.35", "kubernetes-1.36", "kubernetes-1.37", "kubernetes-2015", "mine"]
    );
    assert_eq!(unknown("mien", &folder.lines), "did you mean `mine`?");
    assert_eq!(
        unknown("other-line", &folder.lines),
        "the lines are kubernetes-1.20, kubernetes-1.35, kubernetes-1.36, kubernetes-1.37, kubernetes-2015, mine"
    );
}

#[test]
fn a_line_is_refused_where_the_os_loses_a_part_of_its_services() {
    let profile = include_str!("../../profiles/burmillaos.yaml").replace("burmillaos-2.0", "burmillaos-3.0");
    let refused = compile(&folder(&[]), &profile);
    assert!(refused.cluster.is_none());
    assert_eq!(refused.codes(), ["beta-target", "line-needs"]);
    let text = refused.text();
    assert!(
        text.contains("user-volumes of kubernetes-1.37 needs the mode `shared` of /var/lib/kubelet, which BurmillaOS 3.0 loses"),
        "{text}"
    );
    assert!(text.contains("`target: burmillaos-2.0`"), "{text}");
    // Without such mounts, it is compiled; those of a profile are refused.
    let unshared = UNSHARED.map(|(path, text)| (path, text.replace(":shared", "")));
    let unshared = folder(&unshared.each_ref().map(|(path, text)| (*path, text.as_str())));
    let outcome = compile(&unshared, &profile);
    assert_eq!(outcome.codes(), ["beta-target"]);
    assert_eq!(outcome.cluster.unwrap().os_version, "v3.0.0-beta5");
    let own = profile.replace("  disk: /dev/sda\n", "  disk: /dev/sda\n  services: {kubelet: {volumes: ['/opt/a:/a:shared']}}\n");
    assert_eq!(compile(&unshared, &own).codes(), ["beta-target", "lost-value"]);
}

#[test]
fn an_undefined_value_in_a_service_is_shown_in_the_lines_own_file() {
    let outcome = with("services/kube-proxy.yaml", &PROXY.replace("{{ node.name }}", "{{ node.nam }}"));
    let (code, message, file, marked) = outcome.one();
    assert_eq!((code, marked), ("template", "\"--hostname-override={{ node.nam }}\""));
    assert!(message.contains("undefined value"), "{message}");
    assert!(file.ends_with("/kubernetes-1.20/services/kube-proxy.yaml"), "{file}");
}

#[test]
fn an_undefined_value_in_a_file_names_the_file_and_its_line() {
    let outcome = with("files/subnet.env", "A=1\nB={{ node.nothing }}\n");
    let (code, message, ..) = outcome.one();
    assert_eq!(code, "template");
    for part in ["files/subnet.env", "/run/flannel/subnet.env", "undefined value", ":2"] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn a_template_that_cannot_be_read_is_refused() {
    let outcome = with("services/kube-proxy.yaml", &PROXY.replace("{{ node.name }}", "{% if node.name %}"));
    let (code, _, _, marked) = outcome.one();
    assert_eq!((code, marked), ("template", "\"--hostname-override={% if node.name %}\""));
    let outcome = with("files/subnet.env", "{{ node.name");
    let (code, message, ..) = outcome.one();
    assert_eq!(code, "template");
    assert!(message.contains("files/subnet.env"), "{message}");
}

#[test]
fn an_unknown_key_of_a_service_is_marked_in_the_lines_own_file() {
    let outcome = with("services/kube-proxy.yaml", &format!("{PROXY}volume_from: [a]\n"));
    let (code, message, file, marked) = outcome.one();
    assert_eq!((code, marked), ("unknown-key", "volume_from"));
    assert_eq!(message, "unknown key `volume_from`");
    assert!(file.ends_with("services/kube-proxy.yaml"), "{file}");
    assert!(outcome.cluster.is_none());
}

#[test]
fn what_is_no_yaml_is_shown_in_the_lines_own_file() {
    let line = LINE.replace("architectures: [amd64]", "architectures: [amd64");
    for (name, text) in [("services/kube-proxy.yaml", "image: a\ncommand: [b\nnet: host\n"), ("line.yaml", line.as_str())] {
        let outcome = with(name, text);
        let (code, _, file, _) = outcome.one();
        assert_eq!(code, "yaml");
        assert!(file.ends_with(name), "{file}");
    }
}

#[test]
fn an_empty_file_is_named() {
    for file in ["services/kube-proxy.yaml", "line.yaml"] {
        let outcome = with(file, "# nothing\n");
        let (code, ..) = outcome.one();
        assert_eq!(code, "empty");
        assert!(outcome.text().contains(file), "{}", outcome.text());
    }
}

#[test]
fn a_line_yaml_with_a_mistake_names_the_files_and_the_key() {
    for (outcome, part) in [
        (with("line.yaml", &LINE.replace("architectures:", "architectrues:")), "architectrues"),
        (with("line.yaml", &LINE.replace("docker: {from", "dokcer: {from")), "needs.dokcer: unknown field `dokcer`"),
        (with("line.yaml", &LINE.replace("extends: kubernetes", "extends: [kubernetes]")), "`extends` isn't a folder's name"),
        (with("line.yaml", &LINE.replace("extends: kubernetes", "extends: cubernetes")), "no file cubernetes/base.yaml"),
        (
            on(&BASE.replace("file_writer:", "file_writr:")),
            "kubernetes/base.yaml, with templates/addons/dns/addon.yaml: file_writr: unknown",
        ),
        (on(&BASE.replace("on: [etcd], component", "on: [etdc], component")), "services.etcd.on[0]: unknown variant `etdc`"),
        (on(&format!("extends: kubernetes\n{BASE}")), "kubernetes/base.yaml extends itself"),
    ] {
        let (code, message, ..) = outcome.one();
        assert_eq!(code, "line");
        assert!(message.contains(part), "{message}");
        assert!(outcome.cluster.is_none());
    }
}

#[test]
fn a_line_changes_what_it_extends() {
    let more = "\nservices:\n  node-labels: ~\n  mine: {on: [worker]}\nmodules: [dummy]\nsysctl: {net.ipv4.ip_forward: \"0\"}\n";
    let line = format!("{LINE}{more}");
    let folder = folder(&[("kubernetes-1.20/line.yaml", &line), ("kubernetes-1.20/services/mine.yaml", "image: a\n")]);
    let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
    let line = Line::load("kubernetes-1.20", &AddOns::default(), &folder.lines, &mut sources, &mut found);
    assert!(found.is_empty(), "{}", text(&found, &sources, Style::Plain));
    let line = line.unwrap();
    let names: Vec<&str> = line.services.iter().map(|service| service.name.as_str()).collect();
    assert!(names.starts_with(&["user-volumes", "docker"]) && names.ends_with(&["addons", "mine"]), "{names:?}");
    assert!(!names.contains(&"node-labels"));
    assert_eq!(line.modules, ["br_netfilter", "dummy"]);
    assert_eq!(line.sysctl["net.ipv4.ip_forward"], "0");
    let etcd = line.components.get("etcd").unwrap();
    assert_eq!((etcd.version.value().unwrap().text.as_str(), etcd.files.iter().count()), ("3.4.23", 2));
}

#[test]
fn a_missing_file_is_named() {
    let outcome = compile(&folder(&[("mine/line.yaml", LINE)]), &PROFILE.replace("kubernetes-1.20", "mine"));
    assert_eq!(outcome.one().1, "the release line has no file mine/services/kubelet.yaml");
    let outcome = on(&BASE.replace("template: kubelet.yaml", "template: kubelt.yaml"));
    assert_eq!(outcome.one().1, "the release line has no file kubernetes-1.20/files/kubelt.yaml");
}

#[test]
fn a_file_that_cannot_be_read_is_not_taken_for_the_built_in_one() {
    let outcome = with("services/etcd.yaml/a-folder", "");
    let (code, message, ..) = outcome.one();
    assert_eq!(code, "line");
    assert!(message.contains("kubernetes-1.20/services/etcd.yaml"), "{message}");
}

#[test]
fn a_file_is_either_a_template_or_key_material() {
    let entry = "template: subnet.env}";
    for both in ["template: subnet.env, sealed: flannel.key}", "permissions: \"0600\"}"] {
        let outcome = on(&BASE.replace(entry, both));
        let (code, message, ..) = outcome.one();
        assert_eq!(code, "line");
        assert!(
            message.contains("/run/flannel/subnet.env needs one of `template`, `sealed`, `manifests`, `names` and `fingerprint`"),
            "{message}"
        );
    }
}

#[test]
fn a_line_that_needs_more_than_the_target_has_is_refused() {
    let needs = |kernel: &str, docker: (&str, &str)| {
        let line = LINE
            .replace("kernel: \"3.10\"", &format!("kernel: \"{kernel}\""))
            .replace("docker: {from: \"1.13\", before: \"28\"", &format!("docker: {{from: \"{}\", before: \"{}\"", docker.0, docker.1));
        compile(&folder(&[("kubernetes-1.20/line.yaml", &line)]), PROFILE)
    };
    assert!(needs("4.14", ("19.03", "28")).found.is_empty());
    assert!(needs("4.9.200", ("18.09", "100")).found.is_empty(), "versions are compared as numbers");
    for (kernel, docker, said, help) in [
        ("4.15", ("1.13", "28"), "needs Linux 4.15 or newer, but RancherOS 1.5 has 4.14", "`target: burmillaos-2.0`"),
        ("3.10", ("20.10", "28"), "runs on Docker 20.10 or newer, but older than 28; RancherOS 1.5 has 19.03", "`target: burmillaos-2.0`"),
        (
            "3.10",
            ("1.13", "19.03"),
            "runs on Docker 1.13 or newer, but older than 19.03; RancherOS 1.5 has 19.03",
            // The line's own Docker, for the other target, is newer still.
            "use another line",
        ),
        ("99", ("1.13", "28"), "needs Linux 99 or newer", "use another line"),
    ] {
        let outcome = needs(kernel, docker);
        let [one] = outcome.found.sorted()[..] else { panic!("{}", outcome.text()) };
        assert_eq!(one.code.name(), "line-needs");
        assert!(one.message.contains(said), "{}", one.message);
        assert!(one.help.as_ref().unwrap().contains(help), "{:?}", one.help);
        assert!(outcome.cluster.is_none());
    }
}

const ENDLESS: &str = "{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}";
const RECURSIVE: &str = "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}";

#[test]
fn a_template_without_end_is_stopped() {
    for endless in [ENDLESS, RECURSIVE] {
        let outcome = with("services/kube-proxy.yaml", &PROXY.replace("{{ node.name }}", endless));
        let (code, _, file, marked) = outcome.one();
        assert_eq!(code, "template");
        assert!(file.ends_with("services/kube-proxy.yaml") && marked.contains(endless), "{file}: {marked}");
        let outcome = with("files/subnet.env", endless);
        let (code, message, ..) = outcome.one();
        assert_eq!(code, "template");
        assert!(message.contains("files/subnet.env"), "{message}");
    }
    let profile = PROFILE.replace("nodes: {one", &format!("  files: {{/opt/a: {{content: !template '{ENDLESS}'}}}}\nnodes: {{one"));
    let outcome = compile(&folder(&[]), &profile);
    let [one] = outcome.found.sorted()[..] else { panic!("{}", outcome.text()) };
    assert_eq!(one.code.name(), "template");
    assert!(one.message.contains("fuel"), "{}", one.message);
}

#[test]
fn a_rendered_value_cannot_change_a_services_structure() {
    let outcome = with("services/kube-proxy.yaml", &PROXY.replace("{{ node.name }}", "{{ 'a\nprivileged: false\n- b: [c' }}"));
    assert!(outcome.found.is_empty(), "{}", outcome.text());
    let cluster = outcome.cluster.unwrap();
    let node = node::lower(cluster.node_at(0), &Contexts::new(&cluster), &mut Diagnostics::default());
    let (_, keys) = node.services.into_iter().find(|(name, _)| *name == "kube-proxy").unwrap();
    let (_, command) = &***keys.iter().find(|one| one.0 == "command").unwrap();
    let node::Value::Texts(words) = command else { panic!("{command:?}") };
    assert_eq!(words.len(), 3);
    assert!(keys.iter().any(|one| ***one == ("privileged", node::Value::Flag(true))));
}

#[test]
fn a_file_keeps_its_last_line_break_and_quotes() {
    let mut templates = Templates::default();
    let mut found = Diagnostics::default();
    templates.add_file("a.json", "{\"a\": \"{{ a }}\"}\n".to_owned(), &mut found);
    templates.add("{{ a }}", None, &mut found);
    assert!(found.is_empty());
    let context = minijinja::context! { a => "<\"&'>" };
    assert_eq!(templates.render_file("a.json", &context).unwrap(), "{\"a\": \"<\"&'>\"}\n");
    assert_eq!(templates.render("{{ a }}", &context).unwrap(), "<\"&'>");
    assert_eq!(templates.render("no { template }", &context).unwrap(), "no { template }");
}

/// Today's profile, with these add-ons.
fn with_addons(addons: &str) -> String {
    format!("{}addons: {addons}\n", PROFILE.replace("rancheros-1.5", "burmillaos-2.0").replace("kubernetes-1.20", "kubernetes-1.37"))
}

/// The content of a file on the first node.
fn content(outcome: &Outcome, path: &str) -> Option<String> {
    let cluster = outcome.cluster.as_ref().unwrap_or_else(|| panic!("{}", outcome.text()));
    let node = node::lower(cluster.node_at(0), &Contexts::new(cluster), &mut Diagnostics::default());
    node.files.iter().find(|file| file.path == path).map(|file| match &file.content {
        node::FileContent::Text(text) => text.clone(),
        node::FileContent::Secret(secret) => secret.text(),
        other => panic!("{other:?}"),
    })
}

const NAMES: &str = "/opt/kubernetes/addons-names";
const ECHO: [(&str, &str); 2] = [
    (
        "addons/echo/addon.yaml",
        "title: an echo
settings: {word: {type: choice, of: [hello, bye], default: hello}, path: {type: path, default: /opt/echo}}
files: {/opt/kubernetes/addons/echo.yaml: {on: [control-plane], template: echo.yaml}}
",
    ),
    (
        "addons/echo/files/echo.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: echo, namespace: kube-system}\ndata: {word: {{ with.word }}, path: {{ with.path }}}\n",
    ),
];

#[test]
fn a_folder_adds_an_add_on_beside_the_built_in_ones() {
    let folder = folder(&ECHO);
    let outcome = compile(&folder, &with_addons("{echo: {word: bye}}"));
    assert!(outcome.found.is_empty(), "{}", outcome.text());
    let echo = content(&outcome, "/opt/kubernetes/addons/echo.yaml").unwrap();
    assert!(echo.ends_with("data: {word: bye, path: /opt/echo}\n"), "{echo}");
    let names = content(&outcome, NAMES).unwrap();
    assert!(names.contains("/opt/kubernetes/addons/echo.yaml\nConfigMap.v1./kube-system/echo\n"), "{names}");
    let wrong = compile(&folder, &with_addons("{echo: {word: hi, path: here}, ecco: {}}"));
    assert_eq!(wrong.codes(), ["invalid-value", "invalid-value", "unknown-addon"]);
    assert!(wrong.text().contains("did you mean `echo`?"), "{}", wrong.text());
}

#[test]
fn an_add_on_of_the_line_can_be_set_and_taken_away() {
    let built_in = Folder { lines: Lines::default(), _folder: tempfile::tempdir().unwrap() };
    let outcome = compile(&built_in, &with_addons("{dns: {replicas: 3}, metrics-server: {}}"));
    assert!(outcome.found.is_empty(), "{}", outcome.text());
    assert!(content(&outcome, "/opt/kubernetes/addons-replicas/coredns.yaml").unwrap().ends_with("spec: {replicas: 3}\n"));
    let names = content(&outcome, NAMES).unwrap();
    assert!(
        names.contains("Deployment.v1.apps/kube-system/coredns\n") && names.contains("Secret.v1./kube-system/metrics-server\n"),
        "{names}"
    );
    let off = compile(&built_in, &with_addons("{dns: ~}"));
    assert_eq!(off.codes(), ["addon-off"]);
    assert_eq!(content(&off, "/opt/kubernetes/addons/coredns.yaml"), None);
    assert!(!content(&off, NAMES).unwrap().contains("coredns"));
    assert!(off.cluster.unwrap().line.components.get("coredns").is_none());
    assert_eq!(compile(&built_in, &with_addons("{metrics-server: ~}")).codes(), ["no-effect"]);
}

const ALL: &str = "{metrics-server: {}, storage: {path: /mnt/data/volumes}, ingress: {http: 8080}}";

#[test]
fn the_objects_of_built_in_add_ons_are_what_the_api_server_takes() {
    let built_in = Folder { lines: Lines::default(), _folder: tempfile::tempdir().unwrap() };
    let outcome = compile(&built_in, &with_addons(ALL));
    assert!(outcome.found.is_empty(), "{}", outcome.text());
    let list = include_str!("../../templates/kubernetes-containerd/objects");
    let schema = crate::manifest::Schema::read(entries(list, "1.37.2")).unwrap();
    let names = content(&outcome, NAMES).unwrap();
    let files: Vec<&str> = names.lines().filter(|line| line.starts_with('/')).collect();
    assert_eq!(files.len(), 7, "{files:?}");
    // Numbers of replicas are no whole objects.
    for file in files.into_iter().filter(|file| file.starts_with("/opt/kubernetes/addons/")) {
        let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
        let source = sources.add(file, content(&outcome, file).unwrap(), false);
        let objects = crate::manifest::read(&sources.get(source).text, source, &mut found);
        for object in &objects {
            assert_eq!(schema.misfits(object), [], "{file}: {}", object.title());
        }
    }
    let storage = content(&outcome, "/opt/kubernetes/addons/local-path-provisioner.yaml").unwrap();
    assert!(storage.contains(r#""paths": ["/mnt/data/volumes"]"#), "{storage}");
    let ingress = content(&outcome, "/opt/kubernetes/addons/traefik.yaml").unwrap();
    assert!(ingress.contains("hostPort: 8080,") && ingress.contains("hostPort: 443,"), "{ingress}");
}

#[test]
fn add_ons_tolerate_taints_only_where_every_node_has_some() {
    let built_in = Folder { lines: Lines::default(), _folder: tempfile::tempdir().unwrap() };
    let tolerated = |roles: &str, addons: &str| {
        let profile = with_addons(addons).replace("roles: [control-plane, worker]", roles);
        let outcome = compile(&built_in, &profile);
        assert!(outcome.found.is_empty(), "{}", outcome.text());
        ["local-path-provisioner", "traefik", "metrics-server", "coredns"].map(|name| {
            let text = content(&outcome, &format!("/opt/kubernetes/addons/{name}.yaml")).unwrap();
            text.lines().filter(|line| line.contains("operator: Exists")).count()
        })
    };
    assert_eq!(tolerated("roles: [control-plane, worker]", ALL), [0, 0, 0, 2]);
    assert_eq!(tolerated("role: control-plane", ALL), [1, 1, 1, 2]);
    let taints = "role: control-plane, taints: ['for=databases:NoSchedule', 'soft:PreferNoSchedule']";
    assert_eq!(tolerated(taints, ALL), [2, 2, 2, 3]);
    assert_eq!(tolerated("roles: [control-plane, worker]", &ALL.replace("http: 8080", "nodes: all")), [0, 1, 0, 2]);
}

#[test]
fn an_add_on_follows_the_line() {
    let until = r#"
components: {echo: {version: "3", entrypoint: [/echo], files: {/echo: echo}}}
until:
  "1.9": {components: {echo: {version: "0"}}}
  "1.20": {components: {echo: {version: "1"}}, files: {/opt/echo: {on: [worker], template: echo.yaml}}}
  "1.36": {components: {echo: {version: "2"}}, files: {/opt/old: {on: [worker], template: echo.yaml}}}
"#;
    let files = ECHO.map(|(path, text)| (path, if path.ends_with("addon.yaml") { format!("{text}{until}") } else { text.to_owned() }));
    let folder = folder(&files.each_ref().map(|(path, text)| (*path, text.as_str())));
    let on = |line: &str, target: &str| {
        let profile = with_addons("{echo: {}}").replace("kubernetes-1.37", line).replace("burmillaos-2.0", target);
        let outcome = compile(&folder, &profile);
        let there = ["/opt/echo", "/opt/old"].map(|path| content(&outcome, path).is_some());
        let line = &outcome.cluster.as_ref().unwrap().line;
        let echo = line.components.get("echo").unwrap();
        (echo.version.value().unwrap().text.clone(), *echo.engine.value().unwrap(), there)
    };
    assert_eq!(on("kubernetes-1.37", "burmillaos-2.0"), ("3".to_owned(), EngineName::Containerd, [false, false]));
    assert_eq!(on("kubernetes-1.36", "burmillaos-2.0"), ("2".to_owned(), EngineName::Containerd, [false, true]));
    assert_eq!(on("kubernetes-1.20", "rancheros-1.5"), ("1".to_owned(), EngineName::Docker, [true, true]));
}

/// What CoreDNS needs of the line: discovery.k8s.io/v1, or a version that does without; and a toleration of its taint.
#[test]
fn names_are_resolved_on_every_line_but_that_of_2015() {
    for name in Lines::default().names().iter().filter(|name| *name != "kubernetes-2015") {
        let outcome = compile(&folder(&[]), &with_addons("{dns: {replicas: 3}}").replace("kubernetes-1.37", name));
        let objects = content(&outcome, "/opt/kubernetes/addons/coredns.yaml").unwrap();
        let line = &outcome.cluster.as_ref().unwrap().line;
        let version = line.components.get("coredns").unwrap().version.value().unwrap();
        assert_eq!(version.text.starts_with("1.10."), line.minor() < Some(21), "{name}");
        assert!(objects.contains(&format!("image: remuda/coredns:{}\n", version.text)), "{name}: {objects}");
        let (key, effect) = line.control_plane_taints[0].split_once(':').unwrap();
        assert!(objects.contains(&format!("- {{key: {key}, operator: Exists, effect: {effect}}}")), "{name}: {objects}");
        let kubelet = content(&outcome, "/opt/kubernetes/kubelet.yaml").unwrap();
        assert!(kubelet.contains("clusterDNS: [\"10.96.0.10\"]") && kubelet.contains("clusterDomain: \"cluster.local\""), "{kubelet}");
    }
    assert_eq!(compile(&folder(&[]), &format!("{PROFILE}addons: {{dns: ~}}\n")).codes(), ["addon-off"]);
}

#[test]
fn a_wrong_add_on_names_its_file() {
    for (file, from, to, part) in [
        (0, "default: hello", "default: hallo", "addon.yaml: settings.word: the default isn't `hello` or `bye`"),
        (0, "type: choice", "type: choise", "addon.yaml: settings.word.type: unknown variant `choise`"),
        (0, "title:", "titel:", "addon.yaml: titel: unknown field `titel`"),
        (0, "on: [control-plane]", "on: [control-plan]", "addons/echo/addon.yaml: files./opt/kubernetes/addons/echo.yaml.on[0]"),
        (0, "template: echo.yaml", "template: kubelet.yaml", "kubernetes-containerd has a file kubelet.yaml too"),
        (1, "kind:", "knid:", "/opt/kubernetes/addons/echo.yaml isn't a manifest: this object has no `kind`"),
    ] {
        let mut files = ECHO.map(|(path, text)| (path, text.to_owned()));
        files[file].1 = files[file].1.replace(from, to);
        let outcome = compile(&folder(&files.each_ref().map(|(path, text)| (*path, text.as_str()))), &with_addons("{echo: {}}"));
        let (code, message, ..) = outcome.one();
        assert!(["line", "template"].contains(&code) && message.contains(part), "{code}: {message}");
    }
}

#[test]
fn every_program_of_every_line_has_a_release() {
    use crate::component::{Base, Place};
    use crate::terms::Provenance;
    for name in Lines::default().names() {
        let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
        let line = Line::load(&name, &AddOns::default(), &Lines::default(), &mut sources, &mut found).unwrap();
        for (component, image) in line.components.iter() {
            let mut image = image.clone();
            image.decide(Provenance::Released);
            let mut built: Vec<String> = Vec::new();
            for source in image.files.iter().filter_map(|(_, source)| source.value()) {
                if let Place::Path(path) = &source.place {
                    built.push(path.value.text.clone());
                }
            }
            if let Some(Base::Rootfs(source)) = image.from.value()
                && let Place::Path(path) = &source.place
            {
                built.push(path.value.text.clone());
            }
            // User Docker of a line without fixes.
            assert!(built.is_empty() || component.value == "docker-engine", "{name}: {}: {built:?}", component.value);
        }
    }
}

#[test]
fn what_is_released_has_the_versions_that_are_built() {
    let base = include_str!("../../templates/kubernetes-containerd/base.yaml");
    let recipe = include_str!("../../scripts/recipes/containerd.sh");
    let version = |name: &str| recipe.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap();
    assert!(base.contains(&format!("runc/releases/download/v{}/", version("RUNC"))));
    assert_eq!(base.matches(&format!("linux-{{{{ arch }}}}-v{}.tgz", version("PLUGINS"))).count(), 4);
}

/// Lines share `values`, so a name in them that no program has would never be looked at.
#[test]
fn values_are_of_flags_that_some_program_has() {
    let files = |folder: &'static str| {
        EMBEDDED.iter().filter_map(move |(path, text)| Some((path.strip_prefix(folder)?, str::from_utf8(text).unwrap())))
    };
    let names = |text: &'static str| text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(' ').next().unwrap());
    let values: Vec<_> = files("kubernetes/values/").filter(|(program, _)| *program != "gates").collect();
    assert!(values.len() > 5);
    for (program, text) in values {
        let lists = ["kubernetes/flags/", "kubernetes-1.20/flags/", "kubernetes-containerd/flags/"].into_iter().flat_map(files);
        let known: BTreeSet<&str> = lists.filter(|(name, _)| *name == program).flat_map(|(_, text)| names(text)).collect();
        for name in names(text) {
            assert!(known.contains(name), "{program} has no flag {name}");
        }
    }
}

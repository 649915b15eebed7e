//! Objects that a cluster starts with: kustomizations, charts, and who wants which image. Helm is played by
//! common/programs/helm; the last tests are with the real programs, where there are any.

// Which tests are skipped.
#![allow(clippy::print_stderr)]

mod common;
#[path = "common/server.rs"]
mod server;

use common::{Project, remuda, text};
use serde_json::{Value, json};
use server::{Answer, Server};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Output;

const PROFILE: &str = "\
cluster: c
target: burmillaos-2.0
line: kubernetes-1.37
network: {nodes: 10.0.0.0/16, gateway: 10.0.0.1}
defaults:
  ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN1YdxBpNlzxDqfJyw/QKow1F+wvG9hXGoqiysfJOn5Y a@b]
nodes:
  one: {roles: [control-plane, worker], address: 10.0.0.2}
";

/// What `image list` shows where there are no components.
fn list(project: &Project, form: &[&str]) -> String {
    let output = remuda(project.path()).args(["image", "list", "p.yaml"]).args(form).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// The image of this name, as `image list` has it.
fn listed(project: &Project, name: &str) -> Value {
    let all: Value = serde_json::from_str(&list(project, &["--format", "json"])).unwrap();
    let all = all["images"].as_array().unwrap().clone();
    all.into_iter().find(|one| one["image"].as_str().unwrap().starts_with(name)).unwrap_or_else(|| panic!("{name} isn't there"))
}

#[test]
fn each_image_is_listed_with_who_wants_it() {
    let manifests = "addons: {metrics-server: {}}\nmanifests: {files: [a.yaml]}\n";
    let project = Project::new(&format!("{PROFILE}{manifests}"));
    let pod = |name: &str, image: &str| {
        format!("---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  containers:\n    - {{name: a, image: {image}}}\n")
    };
    let coredns = listed_name(&Project::new(PROFILE), "coredns");
    let objects = [pod("one", "example.com/a:1"), pod("two", "example.com/a:1"), pod("three", &coredns)].concat();
    fs::write(project.path().join("a.yaml"), objects).unwrap();
    let wants = |name: &str| listed(&project, name)["wanted_by"].clone();
    let object = |name: &str, line: u32| json!({"object": format!("Pod {name}"), "file": "a.yaml", "line": line});
    assert_eq!(wants("example.com/a:1"), json!([object("one", 7), object("two", 14)]));
    assert_eq!(wants("remuda/coredns:"), json!([{"addon": "dns"}, object("three", 21)]));
    assert_eq!(wants("remuda/metrics-server:"), json!([{"addon": "metrics-server"}]));
    let kubelet = wants("remuda/kubelet:");
    assert!(kubelet.as_array().unwrap().contains(&json!({"service": "kubelet"})), "{kubelet}");
    let etcd = listed(&project, "remuda/etcd:");
    assert_eq!((&etcd["engine"], &etcd["arch"], &etcd["digest"]), (&json!("system-docker"), &json!("amd64"), &Value::Null));
    // containerd's configuration has it, and nothing else.
    let pause = wants("remuda/pause:");
    assert!(pause.as_array().unwrap().iter().any(|who| who["path"].as_str().is_some_and(|path| path.contains("containerd"))), "{pause}");
    let page = list(&project, &[]);
    assert!(
        page.contains("example.com/a:1\n  containerd, amd64, not packed\n  for Pod one, a.yaml:7\n  for Pod two, a.yaml:14\n"),
        "{page}"
    );
    assert!(page.contains("\n  not in the lock               example.com/a:1 for amd64\n"), "{page}");
    // With one API server, no node has a balancer or an address that moves.
    let unwanted: Vec<&str> =
        page.split("\n  for nobody\n").filter_map(|before| before.rsplit("remuda/").next()?.split(':').next()).collect();
    assert_eq!(unwanted[..2], ["haproxy", "keepalived"], "{page}");
    assert_eq!(page.matches("  for nobody\n").count(), 2, "{page}");
}

fn listed_name(project: &Project, component: &str) -> String {
    listed(project, &format!("remuda/{component}:"))["image"].as_str().unwrap().to_owned()
}

/// The folder with the Helm that is played.
const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/programs");

/// Runs remuda with only these folders in its PATH, and a cache in the project.
fn run(project: &Project, programs: &str, words: &[&str]) -> Output {
    let cache = project.path().join("cache");
    remuda(project.path()).env("PATH", programs).env("XDG_CACHE_HOME", cache).args(words).output().unwrap()
}

/// Its messages; it must end so.
fn says(project: &Project, programs: &str, code: i32, words: &[&str]) -> String {
    let output = run(project, programs, words);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
    said
}

/// What the node applies.
fn applied(project: &Project) -> String {
    fs::read_to_string(project.path().join("out/c/nodes/one/cloud-config.yml")).unwrap()
}

fn write(project: &Project, path: &str, content: &str) {
    let path = project.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

#[test]
fn a_chart_is_rendered_with_its_values_and_goes_the_way_of_all_manifests() {
    let charts = "manifests:
  charts:
    page:
      chart: charts/page
      namespace: web
      values_files: ['a,b.yaml']
      values: {replicas: 2, host: \"on\", none: ~, list: [a, {b: 1}]}
";
    let project = Project::new(&format!("{PROFILE}{charts}"));
    write(&project, "charts/page/Chart.yaml", "apiVersion: v2\nname: page\nversion: 1.0.0\n");
    write(&project, "charts/notes/arguments", "");
    write(&project, "a,b.yaml", "replicas: 1\n");
    says(&project, PROGRAMS, 0, &["gen", "p.yaml", "--no-images"]);
    let config = applied(&project);
    // In the release's namespace is what is in any, and not in another one.
    let written: Vec<&str> = config.lines().map(str::trim).collect();
    let namespace_of = |name: &str| {
        let at = written.iter().position(|line| *line == format!("name: {name}")).unwrap_or_else(|| panic!("no {name}: {config}"));
        written[at + 1].strip_prefix("namespace: ")
    };
    for (name, namespace) in [
        ("page", Some("web")),
        ("web", None),
        ("walls.example.com", None),
        ("high", None),
        ("wide", Some("web")),
        ("elsewhere", Some("default")),
    ] {
        assert_eq!(namespace_of(name), namespace, "{name}");
    }
    assert_eq!(written.iter().filter(|line| **line == "namespace: web").count(), 5, "{config}");
    // Values as they are written: a text stays one, and nothing takes away what a chart has by default.
    for line in ["replicas: 1", "replicas: 2", "host: \"on\"", "none: ~", "- b: 1"] {
        assert!(written.contains(&line), "{line}: {config}");
    }
    let arguments = fs::read_to_string(project.path().join("charts/notes/arguments")).unwrap();
    // Once to see what it defines, and twice for what it gives.
    let (words, count) = (arguments.lines().collect::<Vec<_>>(), arguments.lines().filter(|word| *word == "template").count());
    let starts: Vec<usize> = (0..words.len()).filter(|at| words[*at] == "template").collect();
    assert_eq!(count, 3, "{words:?}");
    let (first, once) = (&words[..starts[1]], &words[starts[1]..starts[2]]);
    let sees = |words: &[&str]| words.windows(2).any(|pair| pair == ["--api-versions", "example.com/v1/Wall"]);
    assert!(!sees(first) && sees(once) && sees(&words[starts[2]..]), "{words:?}");
    let expected = ["template", "page", "./charts/page", "--include-crds", "--namespace", "web", "--kube-version", "1.37."];
    assert!(once.iter().zip(expected).all(|(word, expected)| word.starts_with(expected)), "{once:?}");
    assert_eq!(once.iter().filter(|word| **word == "--values").count(), 2);
    // Nothing of this machine's environment, and no way to a network.
    let environment = fs::read_to_string(project.path().join("charts/notes/environment")).unwrap();
    assert!(!environment.contains("XDG_CACHE_HOME") && !environment.contains(PROGRAMS), "{environment}");
    assert!(environment.contains("HTTPS_PROXY=") && environment.contains("http://127.0.0.1:1"), "{environment}");
    // The same again, and in CI.
    says(&project, PROGRAMS, 0, &["gen", "p.yaml", "--check", "--no-images"]);
    // Its image is one of the bundle.
    let listed: Value = serde_json::from_slice(&run(&project, PROGRAMS, &["image", "list", "p.yaml", "--format", "json"]).stdout).unwrap();
    let image = listed["images"].as_array().unwrap().iter().find(|one| one["image"] == "example.com/page:1").unwrap();
    assert_eq!(image["wanted_by"][0]["object"], "Deployment page");
    assert_eq!(image["wanted_by"][0]["file"], "chart page (rendered)");
    // Where there is no Helm, that is told with the place.
    let said = says(&project, "/nowhere", 1, &["gen", "p.yaml", "--check", "--no-images"]);
    assert!(said.contains("error[no-program]: helm isn't on the PATH") && said.contains("--> p.yaml:11:5"), "{said}");
}

#[test]
fn a_chart_from_a_url_is_pinned_by_the_lock_and_fetched_by_its_digest() {
    let server = Server::start();
    let url = server.put("/page-1.0.0.tgz", Answer::Bytes(b"one".to_vec()));
    let project = Project::new(&format!("{PROFILE}manifests: {{charts: {{remote: {{chart: '{url}'}}}}}}\n"));
    let said = says(&project, PROGRAMS, 1, &["validate", "p.yaml"]);
    assert!(said.contains("error[not-locked]") && said.contains("p.lock"), "{said}");
    says(&project, PROGRAMS, 0, &["lock", "p.yaml"]);
    let lock = fs::read_to_string(project.path().join("p.lock")).unwrap();
    assert!(lock.contains(&url) && lock.contains(&remuda::terms::sha256(b"one")), "{lock}");
    says(&project, PROGRAMS, 0, &["gen", "p.yaml", "--no-images"]);
    assert!(applied(&project).contains("remote-settings"));
    // On another machine; meanwhile, the server has other bytes.
    fs::remove_dir_all(project.path().join("cache")).unwrap();
    let said = says(&project, PROGRAMS, 1, &["gen", "p.yaml", "--check", "--no-images"]);
    assert!(said.contains("isn't in the cache") && said.contains("`remuda image fetch p.yaml`"), "{said}");
    server.put("/page-1.0.0.tgz", Answer::Bytes(b"two".to_vec()));
    says(&project, PROGRAMS, 3, &["image", "fetch", "p.yaml", "--retries", "0"]);
    server.put("/page-1.0.0.tgz", Answer::Bytes(b"one".to_vec()));
    says(&project, PROGRAMS, 0, &["image", "fetch", "p.yaml"]);
    says(&project, PROGRAMS, 0, &["gen", "p.yaml", "--check", "--no-images"]);
    says(&project, PROGRAMS, 0, &["image", "verify", "p.yaml"]);
    // It stays as it is until somebody says otherwise.
    server.put("/page-1.0.0.tgz", Answer::Bytes(b"two".to_vec()));
    says(&project, PROGRAMS, 0, &["lock", "p.yaml"]);
    assert_eq!(fs::read_to_string(project.path().join("p.lock")).unwrap(), lock);
    says(&project, PROGRAMS, 0, &["lock", "p.yaml", "--update"]);
    let lock = fs::read_to_string(project.path().join("p.lock")).unwrap();
    assert!(lock.contains(&remuda::terms::sha256(b"two")), "{lock}");
}

#[test]
fn manifests_may_have_several_mebibytes_but_no_object_more_than_the_cluster_takes() {
    let project = Project::new(&format!("{PROFILE}manifests: {{files: [a.yaml]}}\n"));
    let map = |name: &str, bytes: usize| {
        format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{key: '{}'}}\n", "x".repeat(bytes))
    };
    let custom =
        |bytes: usize| format!("---\napiVersion: example.com/v1\nkind: Wall\nmetadata: {{name: a}}\nspec: '{}'\n", "x".repeat(bytes));
    let noted = format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  annotations: {{key: '{}'}}\n", "x".repeat(262_142));
    let several: String = (0..4).map(|number| map(&format!("map-{number}"), 1 << 20)).collect();
    for (objects, said) in [
        (several.clone(), ""),
        (custom(1_572_000), ""),
        (map("a", (1 << 20) + 1), "--> a.yaml:3:7"),
        (map("a", (1 << 20) + 1), "error[too-large]: ConfigMap a has 1048577 bytes of data; the limit is 1048576"),
        (custom(1_573_000), "error[too-large]: Wall a has 15730"),
        (noted, "error[too-large]: ConfigMap a has 262145 bytes of annotations; the limit is 262144"),
        ([several.clone(), several].concat(), "a.yaml has more than 8 MiB"),
    ] {
        write(&project, "a.yaml", &objects);
        let output = run(&project, "/nowhere", &["validate", "p.yaml"]);
        let all = text(&output.stderr);
        assert_eq!(output.status.code(), Some(i32::from(!said.is_empty())), "{}", &all[..all.len().min(500)]);
        assert!(all.contains(said), "{said}: {}", &all[..all.len().min(500)]);
    }
    // etcd may take more, if it is said.
    let etcd = "  components: {etcd: {args: {max-request-bytes: 2000000}}}\n";
    let profile = PROFILE.replace("defaults:\n", &format!("defaults:\n{etcd}"));
    fs::write(project.path().join("p.yaml"), format!("{profile}manifests: {{files: [a.yaml]}}\n")).unwrap();
    write(&project, "a.yaml", &custom(1_573_000));
    says(&project, "/nowhere", 0, &["validate", "p.yaml"]);
}

/// A folder with a program that prints this.
fn program(project: &Project, name: &str, script: &str) -> String {
    let folder = project.path().join(format!("programs-{name}"));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    folder.into_os_string().into_string().unwrap()
}

/// A cluster with a kustomization.
fn kustomized() -> Project {
    let project = Project::new(&format!("{PROFILE}manifests: {{files: [overlay]}}\n"));
    write(&project, "overlay/kustomization.yaml", "resources: [page.yaml]\nnamePrefix: the-\nnamespace: kube-public\n");
    write(&project, "overlay/page.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: page}\n");
    project
}

#[test]
fn a_kustomization_is_rendered_by_the_program_that_is_there() {
    let project = kustomized();
    let print = r#"echo "{apiVersion: v1, kind: ConfigMap, metadata: {name: by-$1}, data: {path: $2}}""#;
    let (kustomize, kubectl) = (program(&project, "kustomize", print), program(&project, "kubectl", print));
    for (programs, by) in [(format!("{kubectl}:{kustomize}"), "by-build"), (kubectl.clone(), "by-kustomize")] {
        says(&project, &programs, 0, &["gen", "p.yaml", "--no-images"]);
        let config = applied(&project);
        assert!(config.contains(by) && config.contains("path: ./overlay"), "{config}");
    }
    // Its own file stands for its folder.
    fs::write(project.path().join("p.yaml"), format!("{PROFILE}manifests: {{files: [overlay/kustomization.yaml]}}\n")).unwrap();
    says(&project, &kubectl, 0, &["gen", "p.yaml", "--no-images", "--check"]);
    let fails = program(&project, "kustomize", "echo 'Error: no such file' >&2; exit 1");
    let said = says(&project, &fails, 1, &["validate", "p.yaml"]);
    assert!(said.contains("error[not-rendered]: this kustomization can't be rendered: Error: no such file\n"), "{said}");
    // What it prints is looked at like any manifest.
    let wrong = program(&project, "kustomize", "echo '{apiVersion: v1, kind: ConfigMap, metadata: {nam: a}}'");
    let said = says(&project, &wrong, 1, &["validate", "p.yaml"]);
    assert!(said.contains("error[no-manifest]") && said.contains("--> overlay (rendered):1:"), "{said}");
}

/// The folder with a real program, if it is there: where `REMUDA_TEST_PROGRAMS` says, or in the PATH.
fn real(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("REMUDA_TEST_PROGRAMS").or_else(|| std::env::var_os("PATH")).unwrap_or_default();
    let folder = std::env::split_paths(&folders).find(|folder| folder.join(name).exists());
    if folder.is_none() {
        eprintln!("skipped: {name} isn't on the PATH");
    }
    folder
}

#[test]
fn the_real_kustomize_renders() {
    for name in ["kustomize", "kubectl"] {
        let Some(folder) = real(name) else { continue };
        let project = kustomized();
        // Only this program.
        let only = project.path().join("only");
        fs::create_dir(&only).unwrap();
        std::os::unix::fs::symlink(folder.join(name), only.join(name)).unwrap();
        says(&project, only.to_str().unwrap(), 0, &["gen", "p.yaml", "--no-images"]);
        let config = applied(&project);
        assert!(config.contains("name: the-page\n") && config.contains("namespace: kube-public\n"), "{name}: {config}");
        write(&project, "overlay/kustomization.yaml", "resources: ['https://example.com/page.yaml']\n");
        let said = says(&project, only.to_str().unwrap(), 1, &["validate", "p.yaml"]);
        assert!(said.contains("error[not-rendered]: this kustomization can't be rendered: "), "{name}: {said}");
    }
}

#[test]
fn the_real_helm_renders() {
    let Some(folder) = real("helm") else { return };
    let programs = folder.to_str().unwrap();
    let charts = "manifests: {charts: {page: {chart: page, namespace: kube-public, values: {word: \"on\", secret: ~}}}}\n";
    let project = Project::new(&format!("{PROFILE}{charts}"));
    write(&project, "page/Chart.yaml", "apiVersion: v2\nname: page\nversion: 1.0.0\nkubeVersion: '>= 1.37.0-0'\n");
    write(&project, "page/values.yaml", "word: off\nsecret: set\n");
    let template = "apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data:
  word: {{ .Values.word | quote }}
  namespace: {{ .Release.Namespace }}
{{- if .Capabilities.APIVersions.Has \"apiregistration.k8s.io/v1/APIService\" }}
  serves: it
{{- end }}
{{- if .Capabilities.APIVersions.Has \"example.com/v1/Wall\" }}
  walls: are known
{{- end }}
{{- if .Values.secret }}
  made-up: {{ randAlphaNum 20 }}
{{- end }}
";
    write(&project, "page/templates/page.yaml", template);
    says(&project, programs, 0, &["gen", "p.yaml", "--no-images"]);
    let config = applied(&project);
    assert!(config.contains("word: \"on\"\n") && config.contains("namespace: kube-public\n"), "{config}");
    assert!(config.contains("serves: it\n") && !config.contains("walls: are known\n"), "{config}");
    says(&project, programs, 0, &["gen", "p.yaml", "--no-images", "--check"]);
    // What a file of the manifests defines, and what a chart does that comes after it.
    let definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: walls.example.com}\nspec:\n  group: example.com\n  scope: Cluster\n  names: {kind: Wall, plural: walls}\n  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]\n";
    let profile = format!("{PROFILE}{}", charts.replace("{charts", "{files: [wall.yaml], charts"));
    write(&project, "wall.yaml", definition);
    fs::write(project.path().join("p.yaml"), profile).unwrap();
    says(&project, programs, 0, &["gen", "p.yaml", "--no-images"]);
    assert!(applied(&project).contains("walls: are known\n"));
    let profile = format!("{PROFILE}{}", charts.replace("}}}}", "}}, walls: {chart: walls}}}"));
    write(&project, "walls/Chart.yaml", "apiVersion: v2\nname: walls\nversion: 1.0.0\n");
    write(&project, "walls/crds/wall.yaml", definition);
    fs::write(project.path().join("p.yaml"), profile).unwrap();
    says(&project, programs, 0, &["gen", "p.yaml", "--no-images"]);
    assert!(applied(&project).contains("walls: are known\n"));
    fs::write(project.path().join("p.yaml"), format!("{PROFILE}{}", charts.replace(", secret: ~", ""))).unwrap();
    let said = says(&project, programs, 1, &["validate", "p.yaml"]);
    assert!(said.contains("error[chart-varies]") && said.contains("page/templates/page.yaml is another one"), "{said}");
    write(&project, "page/templates/page.yaml", "{{ fail \"a host is needed\" }}");
    let said = says(&project, programs, 1, &["validate", "p.yaml"]);
    assert!(said.contains("error[not-rendered]") && said.contains("a host is needed"), "{said}");
}

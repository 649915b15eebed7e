use super::{Misfit, Object, Piece, Schema, names, pieces, read, refused, removed, replicas};
use crate::diagnostic::{Code, Diagnostics, Sources};
use crate::terms::PodLevel;
use std::collections::BTreeMap;

fn objects(text: &str) -> (Vec<Object>, Vec<Code>) {
    let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
    let source = sources.add("a.yaml", text.to_owned(), true);
    let objects = read(text, source, &mut found);
    (objects, found.sorted().iter().map(|one| one.code).collect())
}

/// What a node applies, with the images as they are.
fn written(text: &str) -> String {
    let (objects, found) = objects(text);
    assert!(found.is_empty(), "{found:?}");
    pieces(objects.iter(), &BTreeMap::new())
        .into_iter()
        .map(|piece| match piece {
            Piece::Text(text) | Piece::Image(text) => text,
            Piece::Secret(name) => format!("<{name}>"),
        })
        .collect()
}

fn settings(data: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata:\n{data}")
}

#[test]
fn a_value_is_read_as_before() {
    for text in [
        "~",
        "yes",
        "\"yes\"",
        "0x1F",
        "\"0x1F\"",
        "1e3",
        "'1e3'",
        "\"\"",
        "-1",
        "\"-1\"",
        "12:30:45",
        "\"a: b, [c]\"",
        "\"\\u0085\\u2028\\0\"",
    ] {
        let read = |text: &str| -> serde_json::Value { serde_saphyr::from_str(text).unwrap() };
        let whole = settings(&format!("  key: {text}\n"));
        assert_eq!(read(written(&whole).trim_start_matches("---\n")), read(&whole), "{text}");
    }
}

#[test]
fn a_text_of_several_lines_is_kept() {
    for text in ["a\nb\n", "a\nb", "a\n\nb\n\n", "  a\nb\n", "\n\n", "a\n  b\n", "a\n   \nb\n", "a\tb\n", "\ta\n"] {
        let given = settings(&format!("  key: {}\n", serde_json::to_string(text).unwrap()));
        let there: serde_json::Value = serde_saphyr::from_str(written(&given).trim_start_matches("---\n")).unwrap();
        assert_eq!(there["data"]["key"], text, "{}", written(&given));
    }
}

#[test]
fn images_are_found_wherever_a_pod_is() {
    let pod = "{initContainers: [{image: a}], containers: [{image: b}, {name: none}], volumes: [{image: {reference: c}}]}";
    for (head, path) in [
        ("apiVersion: v1\nkind: Pod", format!("spec: {pod}")),
        ("apiVersion: apps/v1\nkind: StatefulSet", format!("spec: {{template: {{spec: {pod}}}}}")),
        ("apiVersion: batch/v1\nkind: CronJob", format!("spec: {{jobTemplate: {{spec: {{template: {{spec: {pod}}}}}}}}}")),
        ("apiVersion: argoproj.io/v1alpha1\nkind: Rollout", format!("spec: {{template: {{spec: {pod}}}}}")),
    ] {
        let (all, found) = objects(&format!("{head}\nmetadata: {{name: a}}\n{path}\n"));
        assert!(found.is_empty(), "{found:?}");
        let mut images: Vec<&str> = all[0].images().iter().filter_map(|image| image.text()).collect();
        images.sort_unstable();
        assert_eq!(images, ["a", "b", "c"], "{head}");
    }
    let (all, _) = objects("apiVersion: monitoring.coreos.com/v1\nkind: Prometheus\nmetadata: {name: a}\nspec: {image: d}\n");
    assert_eq!(all[0].images()[0].text(), Some("d"));
    let (all, _) = objects(&settings("  containers: |\n    - image: e\n"));
    assert!(all[0].images().is_empty());
}

#[test]
fn a_packed_image_is_not_pulled_again() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n    - {image: a, imagePullPolicy: Always, name: b}\n  volumes:\n    - {name: c, image: {pullPolicy: Always, reference: a}}\n";
    let (all, _) = objects(text);
    let places = all[0].images().iter().map(|image| (image.span, "packed".to_owned())).collect();
    let pieces = pieces(all.iter(), &places);
    assert_eq!(pieces.iter().filter(|piece| **piece == Piece::Image("packed".to_owned())).count(), 2);
    let text: String = pieces.iter().filter_map(|piece| if let Piece::Text(text) = piece { Some(text.as_str()) } else { None }).collect();
    assert!(text.contains("imagePullPolicy: IfNotPresent\n      name: b"), "{text}");
    assert!(text.contains("pullPolicy: IfNotPresent") && !text.contains("Always"), "{text}");
}

#[test]
fn numbers_of_replicas_are_apart_and_what_others_need_is_first() {
    let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, namespace: shop}\nspec: {replicas: 3}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";
    let (all, _) = objects(text);
    assert_eq!(
        written(text),
        "---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: a\n  namespace: shop\nspec: {}\n"
    );
    assert_eq!(
        replicas(all.iter()),
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, namespace: shop}\nspec: {replicas: 3}\n"
    );
    assert_eq!(names(all.iter()), "Deployment.v1.apps/shop/a\nNamespace.v1./default/shop\n");
}

#[test]
fn a_list_has_objects_and_json_is_yaml() {
    let list = "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"a\"}}]}";
    let (all, found) = objects(list);
    assert_eq!((all.len(), found.len()), (1, 0));
}

#[test]
fn secrets_are_names() {
    let text = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {key: !secret given}\n";
    assert!(written(text).ends_with("stringData:\n  key: <given>\n"), "{}", written(text));
    for plain in ["stringData: {key: hunter2}", "data: {key: aHVudGVyMg==}", "stringData: {key: !secret a, more: b}"] {
        let (all, found) = objects(&format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\n{plain}\n"));
        assert_eq!((all.len(), found), (0, vec![Code::SecretInManifest]), "{plain}");
    }
}

#[test]
fn a_script_can_tell_names_apart() {
    for name in ["'a b'", "a/b", "'$(reboot)'", "'\"'", "''"] {
        let (all, found) = objects(&format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n"));
        assert_eq!((all.len(), found), (0, vec![Code::NoManifest]), "{name}");
    }
}

#[test]
fn an_api_is_gone_from_its_minor_on() {
    assert!(removed("batch/v1beta1", "CronJob", 24).is_none());
    assert_eq!(removed("batch/v1beta1", "CronJob", 25).unwrap().replacement.as_deref(), Some("batch/v1"));
    assert!(removed("extensions/v1beta1", "Ingress", 20).is_none());
    assert!(removed("extensions/v1beta1", "Deployment", 20).is_some());
    assert!(removed("batch/v1", "CronJob", 37).is_none());
}

fn schema() -> Schema {
    let list = include_str!("../../templates/kubernetes-containerd/objects");
    Schema::read(crate::line::entries(list, "1.37.2")).unwrap()
}

fn misfits(text: &str) -> Vec<Misfit> {
    let (objects, _) = objects(text);
    objects.iter().flat_map(|object| schema().misfits(object)).map(|(_, misfit)| misfit).collect()
}

#[test]
fn what_an_api_server_takes_is_no_misfit() {
    let pod = |container: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: a, creationTimestamp: null}}, spec: {{containers: [{{name: a, image: x, {container}}}]}}, status: {{any: thing}}}}"
        )
    };
    for container in [
        "env: [{name: A, value: '1'}, {name: B, value: 12:30}, {name: C, value: 2026-11-27}, {name: D}]",
        "resources: {limits: {cpu: 2, memory: 1Gi, x: 0.5}}",
        "ports: [{containerPort: 80}], readinessProbe: {httpGet: {port: http}, periodSeconds: 0x10}",
        "tty: yes, stdin: ~, command: [a, 'b']",
        "volumeMounts: []",
    ] {
        assert_eq!(misfits(&pod(container)), [], "{container}");
    }
    let custom = "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: a}, spec: {any: [1]}}";
    assert_eq!(misfits(custom), []);
}

#[test]
fn each_version_has_its_own_fields() {
    let list =
        "v1/Pod namespaced core.v1.Pod\ncore.v1.Pod kind string\ncore.v1.Pod new string since 1.37\ncore.v1.Pod old []integer until 1.36";
    let object = &objects("{apiVersion: v1, kind: Pod, metadata: {name: a}, new: a, old: [1]}").0[0];
    let found = |version: &str| {
        let schema = Schema::read(crate::line::entries(list, version)).unwrap();
        schema.misfits(object).len()
    };
    // Besides `apiVersion` and `metadata`, which this list lacks.
    assert_eq!((found("1.36.0"), found("1.37.0")), (3, 3));
    assert!(
        Schema::read(crate::line::entries("v1/Pod namespaced", "1.37.0")).unwrap_err().starts_with("line 1: `v1/Pod namespaced` isn't")
    );
    assert!(Schema::read(crate::line::entries("a b c needed", "1.37.0")).is_err());
}

#[test]
fn levels_refuse_what_pod_security_refuses() {
    use PodLevel::{Baseline, Privileged, Restricted};
    let strict = "securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}, containers: [{name: a, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}";
    let of = |context: &str| format!("containers: [{{name: a, securityContext: {{{context}}}}}]");
    for (level, minor, spec, says) in [
        (Privileged, 37, "hostNetwork: true".to_owned(), ""),
        (Baseline, 37, "hostNetwork: false, hostPID: true, hostIPC: true".to_owned(), "the node's IPC, the node's processes"),
        (Baseline, 37, "initContainers: [{name: a, ports: [{hostPort: 0}, {hostPort: 80}]}]".to_owned(), "a port of the node"),
        (Baseline, 37, "ephemeralContainers: [{name: a, securityContext: {privileged: true}}]".to_owned(), "a privileged container"),
        (Baseline, 37, of("capabilities: {add: [CHOWN, NET_BIND_SERVICE, NET_RAW]}"), "this capability"),
        (Baseline, 37, of("procMount: Unmasked"), "all of /proc"),
        (Baseline, 37, format!("hostUsers: false, {}", of("procMount: Unmasked")), ""),
        (Baseline, 37, of("seccompProfile: {type: Unconfined}"), "no seccomp profile"),
        (Baseline, 37, of("appArmorProfile: {type: Unconfined}"), "no AppArmor profile"),
        (Baseline, 37, of("seLinuxOptions: {type: spc_t, role: r}"), "a role of SELinux, this type of SELinux"),
        (Baseline, 37, "containers: [{name: a, livenessProbe: {httpGet: {host: 10.0.0.1}}}]".to_owned(), "another host than the pod"),
        (Baseline, 36, "securityContext: {sysctls: [{name: net.ipv4.tcp_notsent_lowat}]}".to_owned(), "this kernel parameter"),
        (Baseline, 37, "securityContext: {sysctls: [{name: net.ipv4.tcp_notsent_lowat}]}".to_owned(), ""),
        (Restricted, 37, format!("{strict}}}}}]"), ""),
        (Restricted, 37, format!("volumes: [{{name: n, nfs: {{}}}}, {{name: s, secret: {{}}}}], {strict}}}}}]"), "this kind of volume"),
        (Restricted, 37, format!("{strict}, runAsUser: 0}}}}]"), "root"),
        (Restricted, 37, format!("hostUsers: false, {strict}, runAsUser: 0}}}}]"), ""),
        (Restricted, 37, format!("{strict}, runAsNonRoot: false}}}}]"), "root"),
        (Restricted, 37, format!("os: {{name: windows}}, {}", of("runAsUser: 0")), ""),
        (
            Restricted,
            37,
            of("capabilities: {drop: [ALL], add: [CHOWN]}, runAsNonRoot: true, seccompProfile: {type: Localhost}"),
            "no `allowPrivilegeEscalation: false` in `securityContext`, this capability",
        ),
    ] {
        let text = format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec: {{{spec}}}\n");
        let (objects, found) = objects(&text);
        assert!(found.is_empty(), "{text}");
        let mut said: Vec<String> = refused(objects[0].pod_template().unwrap(), level, minor).into_iter().map(|(_, what)| what).collect();
        said.sort();
        assert_eq!(said.join(", "), says, "{spec}");
    }
}

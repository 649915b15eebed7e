"""What docs/second-day.md says, done as it says, by an operator who types what `remuda plan` prints."""

import os
import re
import time

from common import ROOT, Failed, expect, read, until, write
from scenarios import TODAY, Client, first_pods, names_resolve, pods_talk, profile, start
from upgrade import NODES as UPGRADED
from upgrade import VIP, Operator, Writer, of_line

PAGE = f"{ROOT}/docs/second-day.md"
NODES = """\
  m-1: {role: control-plane, address: 10.77.0.11, mac: "52:54:00:77:00:11"}
  w-1: {role: worker, address: 10.77.0.21, mac: "52:54:00:77:00:21"}
  w-2: {role: worker, address: 10.77.0.22, mac: "52:54:00:77:00:22"}
  w-3: {role: worker, address: 10.77.0.23, mac: "52:54:00:77:00:23"}
"""


def typed_in(heading):
    """The blocks of commands below a heading of the page."""
    part = read(PAGE).split(f"\n## {heading}\n")[1].split("\n## ")[0]
    blocks = re.findall(r"^( *)```sh\n(.*?)^ *```$", part, re.M | re.S)
    return ["\n".join(line.removeprefix(indent) for line in text.splitlines()) for indent, text in blocks]


def all_is_well(bed, operator, nodes):
    expect({node["metadata"]["name"] for node in bed.get("nodes")["items"]} == set(nodes), "the nodes are others")
    bed.wait_ready(nodes)
    pods_talk(bed, nodes)
    until("status says that all is as the tree says", 60, lambda: bed.status()[0] == 0)
    expect(not operator.plan("--live")["steps"], "the plan has steps left")


def second_day(scenario):
    """A worker goes, another gets another name, the third another machine; then another seed: as docs/second-day.md says."""
    text = profile(NODES, **TODAY).replace("defaults:\n", "defaults:\n  disk: /dev/sda\n")
    with scenario.cluster(text) as bed:
        first_pods(bed, start(bed))
        bed.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "kept"}, "stringData": {"key": "of long ago"}})
        operator = Operator(bed)

        def change(old, new):
            nonlocal text
            text = text.replace(old, new)
            write(f"{bed.folder}/cluster.yaml", text)

        def hands(title, nodes):
            """Switches on what is new, once the operator has brought it where it belongs."""
            if title == "Add w-9":
                # The machine that was w-2.
                for of in (bed.machines, operator.addresses):
                    of["w-9"] = of.pop("w-2")
                bed.power_on("w-9")
            elif title.startswith("Take out"):
                expect(not bed.machines[nodes[0]].is_on(), f"{nodes[0]} is on")
                if nodes == ["w-3"]:
                    del bed.machines["w-3"], operator.addresses["w-3"]
            elif title.startswith(("Put", "Switch all")):
                expect(not any(bed.machines[node].is_on() for node in nodes), f"{nodes}: not all are off")
                bed.power_on(*nodes) if title.startswith("Switch all") else replace(nodes[0])
            for node in set(nodes) & set(bed.machines):
                operator.note(node)

        def replace(node):
            bed.machines[node].wipe()
            bed.add(node)
            bed.install([node])
            bed.power_on(node)

        # Renamed, and removed.
        change("w-2:", "w-9:")
        change(NODES.splitlines()[3] + "\n", "")
        plan = operator.plan()
        titles = [step["title"] for step in plan["steps"]]
        expect(titles[1:] == ["Take out w-2", "Add w-9", "Take out w-3"], f"the plan has these steps: {titles}")
        began = time.monotonic()
        operator.follow(plan, hands)
        bed.time("a worker renamed, another removed", began)
        all_is_well(bed, operator, ["m-1", "w-1", "w-9"])

        # Its machine burns; another one, with another card and an empty disk, takes its place.
        bed.power_off("w-1")
        until("w-1 isn't Ready", 90, lambda: "w-1" not in bed.ready_nodes())
        change("52:54:00:77:00:21", "52:54:00:99:00:21")
        plan = operator.plan("--live")
        titles = [step["title"] for step in plan["steps"]]
        expect(titles[1:] == ["Put w-1 on another machine"], f"the plan has these steps: {titles}")
        began = time.monotonic()
        operator.follow(plan, hands)
        bed.time("a worker on another machine", began)
        all_is_well(bed, operator, bed.machines)

        # The seed.
        of_the_page = [one.replace("CLUSTER", "bed") for one in typed_in("Somebody has seen the seed")]
        save, seed, delete, again, restart = of_the_page
        operator.type(save)
        operator.type(seed)
        api = Client(bed, bed.address("m-1"))
        until("the API answers", 30, lambda: api.answers)
        began = time.monotonic()
        operator.type(f"export KUBECONFIG=$PWD/old.kubeconfig\n{delete}")
        plan = operator.plan("--accept", "seed-change")
        plan["steps"] = plan["steps"][1:]
        operator.follow(plan, hands)
        operator.type(again)
        operator.type(f"export KUBECONFIG=$PWD/out/bed/sealed/admin.kubeconfig\n{restart}")
        bed.time("all keys of another seed", began)
        api.stop()
        bed.times["the API silent meanwhile, at most"] = api.longest_silence(began)
        value = operator.type("kubectl --kubeconfig out/bed/sealed/admin.kubeconfig get secret kept -o 'jsonpath={.data.key}' | base64 -d")
        expect(value == "of long ago", f"the secret is {value!r}")
        try:
            operator.type("kubectl --kubeconfig old.kubeconfig get nodes")
        except Failed as failed:
            expect("certificate" in str(failed) or "Unauthorized" in str(failed), str(failed))
        else:
            raise Failed("the old kubeconfig is accepted")
        bed.commit()
        all_is_well(bed, operator, bed.machines)
        names_resolve(bed, bed.machines)
        os.remove(f"{bed.folder}/secrets.json")


def fewer(scenario):
    """Three control-plane nodes become one: one goes, one becomes a worker; and a worker gets another address. By the steps that `remuda plan` prints."""
    text = of_line("kubernetes-1.37")
    with scenario.cluster(text) as bed:
        first_pods(bed, start(bed))
        operator, writer = Operator(bed), Writer(bed, VIP)
        until("something is written", 30, lambda: writer.made)
        now = """\
  m-1: {role: control-plane, address: 10.77.0.11}
  m-2: {role: worker, address: 10.77.0.12}
  w-1: {role: worker, address: 10.77.0.21}
  w-2: {role: worker, address: 10.77.0.25}
"""
        write(f"{bed.folder}/cluster.yaml", text.replace(UPGRADED, now).replace("nodes:\n", "etcd: {founders: []}\nnodes:\n", 1))

        def hands(title, nodes):
            if title == "Take out m-3":
                expect(not bed.machines["m-3"].is_on(), "m-3 is on")
                del bed.machines["m-3"], operator.addresses["m-3"]
            elif nodes == ["w-2"]:
                operator.addresses["w-2"] = "10.77.0.25"
                operator.note("w-2")

        plan = operator.plan()
        titles = [step["title"] for step in plan["steps"]]
        expect(titles[1:4] == ["Take out m-3", "Give m-2 the new config", "Give m-1 the new config"], f"the plan has these steps: {titles}")
        began = time.monotonic()
        operator.follow(plan, hands)
        bed.time("three control-plane nodes became one", began)
        count = len(writer.made)
        until("it goes on writing", 30, lambda: len(writer.made) > count)
        writer.stop()
        there = {one["metadata"]["name"] for one in bed.get("configmap")["items"]}
        lost = [name for name in writer.made if name not in there]
        expect(not lost, f"the API said that it has them, and they are lost: {lost}")
        all_is_well(bed, operator, ["m-1", "m-2", "w-1", "w-2"])
        addresses = {node["metadata"]["name"]: node["status"]["addresses"][0]["address"] for node in bed.get("nodes")["items"]}
        expect(addresses["w-2"] == "10.77.0.25", f"the nodes' addresses: {addresses}")


def back_again(scenario, old="kubernetes-1.36", new="kubernetes-1.37"):
    """From 1.36 to 1.37, and back: the second control-plane node gets its new config, and then doesn't come back."""
    nodes = """\
  m-[1-3]: {role: control-plane, address: 10.77.0.11}
  w-1: {role: worker, address: 10.77.0.21}
"""
    with scenario.cluster(of_line(old, nodes)) as bed:
        first_pods(bed, start(bed))
        operator = Operator(bed)
        write(f"{bed.folder}/cluster.yaml", of_line(new, nodes))
        operator.type("git add cluster.yaml")
        plan = operator.plan()
        first, rest = plan["steps"][:2], plan["steps"][2]
        operator.follow({**plan, "steps": first})
        # The images of m-2 are lost on the way: nothing of the new config starts.
        operator.type("\n".join([*plan["setup"], f"NODE={rest['nodes'][0]['name']}", *rest["run"][:-2]]))
        bed.power_off("m-2")
        preload = f"{bed.machines['m-2'].disk}/var/lib/rancher/preload/system-docker"
        for name in os.listdir(preload):
            if not os.path.exists(f"{preload}/{name}.done") and not name.endswith(".done"):
                os.remove(f"{preload}/{name}")
        bed.power_on("m-2")
        until("m-2 isn't Ready", 120, lambda: "m-2" not in bed.ready_nodes())
        bed.kubectl("create", "configmap", "half-way", "--from-literal=key=kept")

        began = time.monotonic()
        operator.type("git revert --no-edit HEAD")
        plan = operator.plan("--live")
        titles = [step["title"] for step in plan["steps"]]
        expect(titles[1:] == ["Bring m-2 back", "Give m-1 the new config"], f"the plan has these steps: {titles}")
        operator.follow(plan)
        bed.time("back again", began)
        versions = {node["metadata"]["name"]: node["status"]["nodeInfo"]["kubeletVersion"] for node in bed.get("nodes")["items"]}
        expect(all(one.startswith(f"v{old.removeprefix('kubernetes-')}.") for one in versions.values()), f"the kubelets are {versions}")
        expect(bed.get("configmap", "half-way")["data"] == {"key": "kept"}, "what was written half-way is lost")
        all_is_well(bed, operator, bed.machines)


ALL = {"second-day": second_day, "fewer": fewer, "back-again": back_again}

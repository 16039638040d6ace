"""Renders k8s/ and judges it: run.py RENDERER BINARY. Against the schemas of Kubernetes, and against what Rookery needs."""

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import urllib.parse
from pathlib import Path

import kubernetes_validate
import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ["k8s/base", "k8s/example"]
VERSIONS = ["1.28", "1.33", "1.37"]


def render(renderer, folder):
    """The documents that the cluster would get."""
    done = subprocess.run([renderer, ROOT / folder], capture_output=True, text=True, check=True)
    return list(yaml.safe_load_all(done.stdout))


def one(documents, kind, name=None):
    found = [doc for doc in documents if doc["kind"] == kind and name in (None, doc["metadata"]["name"])]
    assert len(found) == 1, f"{len(found)} documents of kind {kind}"
    return found[0]


def schemas_accept_every_document(documents):
    for version in VERSIONS:
        for document in documents:
            kubernetes_validate.validate(document, version, strict=True)


def pods(documents):
    spec = one(documents, "StatefulSet")["spec"]
    return spec, spec["template"]["spec"], spec["template"]["spec"]["containers"][0]


def probes_ask_for_what_they_mean(documents):
    _, _, container = pods(documents)
    assert container["readinessProbe"]["httpGet"]["path"] == "/healthz/ready"
    for probe in ("livenessProbe", "startupProbe"):
        assert container[probe]["httpGet"]["path"] == "/healthz/live"


def a_member_drains_before_it_ends(documents):
    spec, pod, container = pods(documents)
    *_, cluster, drain, wait, timeout, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
    assert [cluster, drain, wait, timeout] == ["cluster", "drain", "--wait", "--timeout"]
    # SIGTERM waits for others for two minutes itself.
    assert pod["terminationGracePeriodSeconds"] >= int(seconds) + 150
    assert spec["podManagementPolicy"] == "Parallel" and spec["minReadySeconds"] >= 10
    assert one(documents, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def containers_have_no_rights_to_lose(documents):
    _, pod, container = pods(documents)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    context = container["securityContext"]
    assert context["readOnlyRootFilesystem"] is True and context["allowPrivilegeEscalation"] is False
    assert context["capabilities"]["drop"] == ["ALL"]
    assert "cpu" not in container["resources"]["limits"], "a throttled member loses its lease"
    for volume in pod["volumes"]:
        if "secret" in volume:
            assert volume["secret"]["defaultMode"] == 0o440


def members_are_apart_and_find_each_other(documents):
    spec, pod, _ = pods(documents)
    assert pod["topologySpreadConstraints"][0]["topologyKey"] == "topology.kubernetes.io/zone"
    assert pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    service = one(documents, "Service", "rookery-members")["spec"]
    assert service["clusterIP"] == "None" and service["publishNotReadyAddresses"] is True
    assert spec["serviceName"] == "rookery-members"


def every_selector_meets_the_pods(documents):
    labels = one(documents, "StatefulSet")["spec"]["template"]["metadata"]["labels"]
    for document in documents:
        selector = document["spec"].get("selector") if "spec" in document else None
        wanted = (selector or {}).get("matchLabels", selector) or {}
        assert wanted.items() <= labels.items(), f"{document['kind']} selects {wanted}"


def only_members_reach_the_members_port(documents):
    rules = rules_of(documents, "ingress")
    members = [rule for rule in rules if any(port["port"] == "members" for port in rule["ports"])]
    assert len(members) == 1 and members[0]["from"][0]["podSelector"]["matchLabels"]


def rules_of(documents, way):
    """Of all policies together, each of which must mean the pods."""
    policies = [document["spec"] for document in documents if document["kind"] == "NetworkPolicy"]
    assert all(policy["podSelector"]["matchLabels"] for policy in policies)
    return [rule for policy in policies for rule in policy.get(way, [])]


def configuration(documents):
    """As a pod would have it: the file of the config map, and the environment of the container."""
    _, _, container = pods(documents)
    name = f"{one(documents, 'StatefulSet')['metadata']['name']}-0"
    fields = {entry["name"]: name for entry in container["env"] if "valueFrom" in entry}
    given = {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}
    for variable, value in fields.items():
        given = {key: text.replace(f"$({variable})", value) for key, text in given.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rookery.toml"
        path.write_text(one(documents, "ConfigMap")["data"]["rookery.toml"])
        command = [sys.argv[2], "--config", path, "config", "print"]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | given)
    assert done.returncode == 0, done.stderr
    return tomllib.loads(done.stdout)


def rookery_takes_the_configuration(documents):
    spec, _, _ = pods(documents)
    name = f"{one(documents, 'StatefulSet')['metadata']['name']}-0"
    cluster = configuration(documents)["cluster"]
    assert cluster["name"] == name and cluster["advertise"].startswith(f"{name}.{spec['serviceName']}:")
    assert cluster["dns"].startswith(f"{spec['serviceName']}:")
    assert cluster["bootstrap_expect"] == spec["replicas"]
    for file in ("ca", "certificate", "key"):
        assert cluster[file].startswith("/etc/rookery/members/")


def every_way_in_has_its_port(documents):
    """What the binary listens on is a port of the container, of one service, and of the network policy."""
    _, _, container = pods(documents)
    config = configuration(documents)
    # Components come over loopback, from containers beside, unless the configuration says otherwise.
    is_seen = lambda address: not address.startswith(("127.", "[::1]"))
    addresses = [address for many in config["listen"].values() for address in many if is_seen(address)]
    ports = {int(address.rsplit(":", 1)[1]) for address in [*addresses, config["cluster"]["listen"]]}
    names = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == set(names.values()), f"listens on {ports}, the container has {names}"
    image = (ROOT / "k8s/Dockerfile").read_text().splitlines()
    exposed = [line.split()[1:] for line in image if line.startswith("EXPOSE ")]
    assert [[str(port) for port in sorted(ports)]] == exposed, f"the image exposes {exposed}"
    services = [doc for doc in documents if doc["kind"] == "Service"]
    served = [port["targetPort"] for service in services for port in service["spec"]["ports"]]
    assert sorted(served) == sorted(names), f"{served} are served"
    let_in = [port["port"] for rule in rules_of(documents, "ingress") for port in rule["ports"]]
    assert sorted(let_in) == sorted(names), f"{let_in} are let in"


def every_way_out_has_its_port(documents):
    """What the configuration names is reached from the pods, and nothing else: HTTPS only where something needs it."""
    config = configuration(documents)
    names = [f"//{config['cluster']['listen']}", config["store"]["url"], config["upload"]["s3"]["endpoint"]]
    wanted = {port_of(name) for name in names if name}
    # DNS, other servers, a collector.
    wanted |= {53, 5269, 5270, 4317}
    wanted |= {443} if config["s2s"]["posh"] else set()
    let_out = {port["port"] for rule in rules_of(documents, "egress") for port in rule["ports"]}
    assert let_out == wanted, f"{let_out} are let out to, {wanted} are needed"


def port_of(url):
    parts = urllib.parse.urlsplit(url)
    return parts.port or {"https": 443}[parts.scheme]


def the_image_is_what_the_pods_start(documents):
    """The two stages of the Dockerfile, against the sources that they are made of and the pods that run the result."""
    stages = {}
    for word, *rest in (line.split() for line in logical_lines(ROOT / "k8s/Dockerfile")):
        if word == "FROM":
            stage = stages[rest[2] if len(rest) == 3 else ""] = {"FROM": rest[0]}
        else:
            stage.setdefault(word, []).append(rest)
    build, image = stages["build"], stages[""]
    manifest = tomllib.loads((ROOT / "Cargo.toml").read_text())
    assert build["FROM"] == f"rust:{manifest['workspace']['package']['rust-version']}-bookworm"
    # The repository is copied as a whole: of what is kept in it, nothing is left out.
    assert build["COPY"] == [[".", "."]] and (ROOT / "Cargo.lock").exists()
    unkept = {line.strip("/") for line in (ROOT / ".gitignore").read_text().split()} | {".git"}
    assert set((ROOT / ".dockerignore").read_text().split()) <= unkept
    [command] = build["RUN"]
    name = command[command.index("--bin") + 1]
    assert "--locked" in command and name in [binary["name"] for binary in manifest["bin"]]
    [[stage, source, target]] = image["COPY"]
    [[place]] = build["WORKDIR"]
    assert (stage, source) == ("--from=build", f"{place}/target/release/{name}")
    assert target == f"/usr/local/bin/{name}" and image["ENTRYPOINT"] == [[f'["{name}"]']]
    _, pod, container = pods(documents)
    assert container["lifecycle"]["preStop"]["exec"]["command"][0] == name
    context = pod["securityContext"]
    assert image["USER"] == [[f"{context['runAsUser']}:{context['runAsGroup']}"]]
    data = configuration(documents)["data_dir"]
    assert image["WORKDIR"] == image["VOLUME"] == [[data]]
    assert data in [mount["mountPath"] for mount in container["volumeMounts"]]


def logical_lines(path):
    """Without comments, and with those in one that end in a backslash."""
    text = path.read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


CHECKS = [
    schemas_accept_every_document,
    probes_ask_for_what_they_mean,
    a_member_drains_before_it_ends,
    containers_have_no_rights_to_lose,
    members_are_apart_and_find_each_other,
    every_selector_meets_the_pods,
    only_members_reach_the_members_port,
    rookery_takes_the_configuration,
    every_way_in_has_its_port,
    every_way_out_has_its_port,
    the_image_is_what_the_pods_start,
]


def the_service_is_one_that_systemd_takes():
    """With and without the drop-in that the unit itself describes; where there is systemd to ask."""
    unit = (ROOT / "scripts/rookery.service").read_text().replace("/usr/local/bin/rookery", str(Path(sys.argv[2]).resolve()))
    lines = [line.removeprefix("#   ") for line in unit.splitlines() if line.startswith("#   ")]
    assert any(line.startswith("LoadCredential=") for line in lines)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rookery.service"
        for text in (unit, unit + "\n" + "\n".join(lines) + "\n"):
            path.write_text(text)
            done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True)
            assert done.returncode == 0 and "rookery.service" not in done.stderr, done.stderr


def main():
    passed, failed = 0, []
    if shutil.which("systemd-analyze"):
        the_service_is_one_that_systemd_takes()
        passed += 1
    for folder in FOLDERS:
        documents = render(sys.argv[1], folder)
        for check in CHECKS:
            try:
                check(documents)
                passed += 1
            except Exception as error:
                failed.append(f"FAILED  {folder}: {check.__name__.replace('_', ' ')}\n        {error!r:.300}")
    print("\n".join([f"{passed} passed, {len(failed)} failed", *failed]))
    sys.exit(1 if failed else 0)


main()

//! The life of a thing.

use std::fs;

use serde_json::json;

use super::workdir::{Outcome, Workdir, id, same};

const ONE: &str =
    "provider \"demo\" {\n  prefix = \"good day\"\n}\nresource \"demo_thing\" \"a\" {\n  name = \"one\"\n";

/// A thing is validated, planned, applied, updated, replaced, forgotten, imported and destroyed.
pub(crate) fn whole(place: &Workdir) -> Outcome {
    place.configure(&format!("{ONE}  size = 1\n}}\n"))?;
    place.succeeds("validate")?;
    place.succeeds("plan -out=first.plan")?.must_print("Plan: 1 to add, 0 to change, 0 to destroy.")?;
    same("the store after a plan", place.stored()?, Vec::<String>::new())?;
    place.succeeds("apply first.plan")?.must_print("Resources: 1 added, 0 changed, 0 destroyed.")?;
    let thing = place.thing(id("one"))?;
    same("greeting", &thing["greeting"], "good day, one!")?;
    same("revision", &thing["revision"], 1)?;
    same("attributes in the state", place.attributes("a")?, thing)?;
    place.succeeds("plan -detailed-exitcode")?.must_print("No changes.")?;

    place.configure(&format!("{ONE}  size = 2.5\n  tags = {{ colour = \"red\" }}\n}}\n"))?;
    place.succeeds("apply -auto-approve")?.must_print("Resources: 0 added, 1 changed, 0 destroyed.")?;
    let thing = place.thing(id("one"))?;
    same("size after an update", &thing["size"], &json!(2.5))?;
    same("tags after an update", &thing["tags"], &json!({ "colour": "red" }))?;
    same("revision after an update", &thing["revision"], 2)?;

    place.configure("resource \"demo_thing\" \"a\" {\n  name = \"two\"\n}\n")?;
    let replaced = place.succeeds("apply -auto-approve")?;
    replaced.must_print("# forces replacement")?;
    replaced.must_print("Resources: 1 added, 0 changed, 1 destroyed.")?;
    same("the store after a replacement", place.stored()?, [format!("{}.json", id("two"))])?;
    same("the default greeting", &place.thing(id("two"))?["greeting"], "hello, two!")?;

    place.succeeds("state rm demo_thing.a")?;
    place.succeeds(&format!("import demo_thing.a {}", id("two")))?.must_print("Import successful!")?;
    same("attributes after an import", place.attributes("a")?, place.thing(id("two"))?)?;
    place.succeeds("plan -detailed-exitcode")?.must_print("No changes.")?;
    place.succeeds("refresh")?;
    place.succeeds("destroy -auto-approve")?.must_print("Resources: 1 destroyed.")?;
    same("the store after a destruction", place.stored()?, Vec::<String>::new())
}

/// Each command makes the expected calls in the expected order.
pub(crate) fn calls(place: &Workdir) -> Outcome {
    const PROVIDER: &[&str] = &["ValidateProviderConfig", "ConfigureProvider"];
    const VALIDATE: &[&str] =
        &["ValidateProviderConfig", "ValidateResourceConfig", "ValidateDataResourceConfig"];
    const PLAN: &[&str] = &["ValidateResourceConfig", "PlanResourceChange"];
    const CREATE: &[&str] = &[
        "ValidateResourceConfig",
        "PlanResourceChange",
        "ApplyResourceChange",
        "ValidateDataResourceConfig",
        "ReadDataSource",
    ];
    const REFRESH: &[&str] = &["UpgradeResourceState", "ReadResource"];
    const LOOK: &[&str] = &["ValidateDataResourceConfig", "ReadDataSource"];
    const DESTROYED: &[&str] = &["UpgradeResourceState", "PlanResourceChange"];
    const DESTROY: &[&str] = &["UpgradeResourceState", "ApplyResourceChange"];

    place
        .configure(&format!("{ONE}}}\ndata \"demo_echo\" \"e\" {{\n  text = demo_thing.a.greeting\n}}\n"))?;
    let imported = format!("import demo_thing.a {}", id("one"));
    for (line, processes, calls) in [
        ("providers schema -json", 1, vec![]),
        ("validate", 2, vec![VALIDATE]),
        ("plan -out=first.plan", 3, vec![VALIDATE, PROVIDER, PLAN]),
        ("show -json first.plan", 1, vec![]),
        ("apply first.plan", 2, vec![PROVIDER, CREATE]),
        ("plan", 3, vec![VALIDATE, PROVIDER, REFRESH, PLAN, LOOK]),
        ("refresh", 3, vec![VALIDATE, PROVIDER, REFRESH, PLAN, LOOK]),
        ("output", 0, vec![]),
        ("state list", 0, vec![]),
        ("state rm demo_thing.a", 0, vec![]),
        (&imported, 2, vec![PROVIDER, &["ImportResourceState", "ReadResource"], LOOK]),
        (
            "destroy -auto-approve",
            5,
            vec![VALIDATE, PROVIDER, REFRESH, PLAN, LOOK, PROVIDER, DESTROYED, PROVIDER, DESTROY],
        ),
        ("apply -auto-approve", 4, vec![VALIDATE, PROVIDER, PLAN, PROVIDER, CREATE]),
    ] {
        let log = place.succeeds(line)?.log;
        same(&format!("calls of {line}"), log.calls(), calls.concat())?;
        same(&format!("processes of {line}"), log.processes(), processes)?;
    }
    Ok(())
}

/// Terraform notices things that another program removed or changed.
pub(crate) fn drift(place: &Workdir) -> Outcome {
    place.configure(&format!("{ONE}  size = 1\n}}\n"))?;
    place.succeeds("apply -auto-approve")?;
    let mut thing = place.thing(id("one"))?;
    thing["size"] = json!(7);
    fs::write(place.path(&format!("store/{}.json", id("one"))), thing.to_string())?;
    place.succeeds("plan")?.must_print("~ size = 7 -> 1")?;
    fs::remove_file(place.path(&format!("store/{}.json", id("one"))))?;
    place.succeeds("apply -auto-approve")?.must_print("Resources: 1 added, 0 changed, 0 destroyed.")?;
    same("size of the thing made anew", &place.thing(id("one"))?["size"], 1)
}

/// State of version 0 has titles and no rules.
pub(crate) fn upgrade(place: &Workdir) -> Outcome {
    let thing = json!({ "id": "old-1", "name": "aged", "greeting": "hm, aged!", "revision": 3 });
    fs::write(place.path("store/old-1.json"), thing.to_string())?;
    let state = json!({
        "version": 4,
        "terraform_version": "1.11.4",
        "serial": 1,
        "lineage": "5d4e3f2c-aaaa-bbbb-cccc-1234567890ab",
        "outputs": {},
        "resources": [{
            "mode": "managed",
            "type": "demo_thing",
            "name": "a",
            "provider": "provider[\"example.com/accept/demo\"]",
            "instances": [{
                "schema_version": 0,
                "attributes": { "id": "old-1", "title": "aged", "greeting": "hm, aged!", "revision": 3 },
            }],
        }],
    });
    fs::write(place.path("work/terraform.tfstate"), format!("{state:#}"))?;
    place.configure("resource \"demo_thing\" \"a\" {\n  name = \"aged\"\n}\n")?;
    place.succeeds("plan -detailed-exitcode")?.must_print("No changes.")?;
    place.configure("resource \"demo_thing\" \"a\" {\n  name = \"aged\"\n  size = 3\n}\n")?;
    place.succeeds("apply -auto-approve")?.must_print("Resources: 0 added, 1 changed, 0 destroyed.")?;
    same("version of the stored state", &place.instances("a")?[0]["schema_version"], 1)?;
    same("name in the state", &place.attributes("a")?["name"], "aged")?;
    same("revision in the store", &place.thing("old-1")?["revision"], 4)
}

/// An unknown id and an id that is a path are not imported.
pub(crate) fn import_of_nothing(place: &Workdir) -> Outcome {
    place.configure(&format!("{ONE}}}\n"))?;
    fs::write(place.path("secret.json"), "{}")?;
    for id in ["thing-000000000000", "../secret", "."] {
        place.fails(&format!("import demo_thing.a {id}"), "No such thing")?;
    }
    Ok(())
}

/// In this order, a replacement exists before the old thing is destroyed.
pub(crate) fn create_before_destroy(place: &Workdir) -> Outcome {
    let named = |name: &str| {
        format!(
            "resource \"demo_thing\" \"a\" {{\n  name = \"{name}\"\n  lifecycle {{\n    create_before_destroy = true\n  }}\n}}\n"
        )
    };
    place.configure(&named("one"))?;
    place.succeeds("apply -auto-approve")?;
    place.configure(&named("two"))?;
    place.succeeds("apply -auto-approve")?.must_print("Resources: 1 added, 0 changed, 1 destroyed.")?;
    same("the store", place.stored()?, [format!("{}.json", id("two"))])
}

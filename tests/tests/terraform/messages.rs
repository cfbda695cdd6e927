//! Errors and warnings, with their places in the configuration.

use super::workdir::{Outcome, Workdir, id, same};

pub(crate) fn validation(place: &Workdir) -> Outcome {
    place.configure(
        r#"
resource "demo_thing" "a" {
  name = ""
  rule {
    port = 80
  }
  rule {
    port = 70000
  }
}
"#,
    )?;
    let ended = place.fails("validate", "Error: Invalid name")?;
    ended.must_print("name = \"\"")?;
    ended.must_print("Error: Invalid port")?;
    ended.must_print("port = 70000")?;
    place.fails("plan", "Error: Invalid port")?;
    Ok(())
}

pub(crate) fn warning(place: &Workdir) -> Outcome {
    place.configure("resource \"demo_thing\" \"a\" {\n  name = \"warn\"\n}\n")?;
    let ended = place.succeeds("apply -auto-approve")?;
    ended.must_print("Warning: Suspicious name")?;
    ended.must_print("name = \"warn\"")
}

/// The failed thing does not exist, and the others do.
pub(crate) fn application(place: &Workdir) -> Outcome {
    place.configure(
        "resource \"demo_thing\" \"a\" {\n  name = \"one\"\n}\nresource \"demo_thing\" \"bad\" {\n  name = \"explode\"\n}\n",
    )?;
    let ended = place.fails("apply -auto-approve", "Error: Cannot create")?;
    ended.must_print("name = \"explode\"")?;
    same("the store", place.stored()?, [format!("{}.json", id("one"))])?;
    same("instances in the state", place.instances("bad")?.len(), 0)?;
    same("name in the state", &place.attributes("a")?["name"], "one")?;

    // A failed replacement leaves nothing in the store and in the state.
    place.configure("resource \"demo_thing\" \"a\" {\n  name = \"explode\"\n}\n")?;
    place.fails("apply -auto-approve", "Error: Cannot create")?;
    same("the store", place.stored()?, Vec::<String>::new())?;
    same("instances in the state", place.instances("a")?.len(), 0)
}

pub(crate) fn function(place: &Workdir) -> Outcome {
    place.configure("output \"o\" {\n  value = provider::demo::join(\"!\", \"a\")\n}\n")?;
    let ended = place.fails("plan", "separator must not be an exclamation mark")?;
    ended.must_print("Invalid value for \"sep\" parameter")?;
    place.configure("output \"o\" {\n  value = provider::demo::add(1, \"x\")\n}\n")?;
    place.fails("plan", "Invalid value for \"b\" parameter")?;
    Ok(())
}

pub(crate) fn provider(place: &Workdir) -> Outcome {
    place.configure(
        "provider \"demo\" {\n  prefix = \"bad\"\n}\nresource \"demo_thing\" \"a\" {\n  name = \"one\"\n}\n",
    )?;
    let ended = place.fails("validate", "Error: Bad prefix")?;
    ended.must_print("prefix = \"bad\"")
}

/// The directory of the store cannot be created.
pub(crate) fn no_store(place: &Workdir) -> Outcome {
    place.configure("resource \"demo_thing\" \"a\" {\n  name = \"one\"\n}\n")?;
    place.fails("apply -auto-approve", "Error: Store cannot be used")?;
    same("instances in the state", place.instances("a")?.len(), 0)
}

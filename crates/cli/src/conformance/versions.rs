//! Which version of the application's protocol is spoken.

use rpcplugin::{AppVersion, handshake::variable};

use super::check::{Announced, Check, Verdict, announced, check, fail, skip};
use crate::bare::{Subject, quoted};

pub(super) const CHECKS: &[Check] = &[
    check!(
        "version-list",
        Must,
        list,
        "Of the versions in PLUGIN_PROTOCOL_VERSIONS the plugin answers with the highest that it serves, in whatever order \
         they come: Go hosts send them in any.",
        "Read the whole list, and choose by number and not by place.",
    ),
    check!(
        "version-alone",
        Must,
        alone,
        "A version that is offered alone and is served is the one that is spoken.",
        "Negotiate from what the host offers, not from what the plugin likes best.",
    ),
    check!(
        "version-no-overlap",
        Must,
        no_overlap,
        "A plugin that serves none of the versions offered never claims one of them: it answers with one of its own (go-plugin: \
         the oldest) and the host explains, or it ends with a message.",
        "Answer with the oldest version that the plugin serves.",
    ),
    check!(
        "version-answered-anyway",
        Should,
        answered_anyway,
        "Without a common version the plugin answers all the same, with its oldest: the host can then name both sides' \
         versions.",
        "Print the line with the oldest version instead of ending.",
    ),
    check!(
        "version-not-sent",
        Should,
        not_sent,
        "A host that sends no PLUGIN_PROTOCOL_VERSIONS predates negotiation: it gets the oldest version.",
        "Take a missing or empty variable for an empty list.",
    ),
    check!(
        "version-unreadable",
        Should,
        unreadable,
        "What is no number in the list is passed over.",
        "Skip entries that cannot be parsed, and go on with the rest.",
    ),
];

async fn list(subject: &Subject) -> Verdict {
    let mut ascending: Vec<AppVersion> = subject.versions.iter().collect();
    ascending.reverse();
    let down = answer_to(subject, &subject.versions.to_string()).await?;
    let up = answer_to(subject, &listed(&ascending)).await?;
    if !subject.versions.contains(up) {
        return fail(format!(
            "none of {} is served: it answers with {up}; name its versions with --versions",
            subject.versions
        ));
    }
    if up != down {
        return fail(format!("{up} when the list goes up, {down} when it goes down"));
    }
    // Whatever lies above the answer is not served, or the answer was not the highest.
    for higher in ascending.into_iter().filter(|version| *version > up).take(ALONE) {
        if answer_to(subject, &higher.to_string()).await.is_ok_and(|answer| answer == higher) {
            return fail(format!("{up} was chosen although {higher} is served and offered"));
        }
    }
    Ok(format!("{up} out of {}", subject.versions))
}

async fn alone(subject: &Subject) -> Verdict {
    let newest = answer_to(subject, &subject.versions.to_string()).await?;
    let oldest = answer_to(subject, NEVER).await.ok();
    let mut candidates: Vec<AppVersion> = subject.versions.iter().collect();
    if candidates.len() > ALONE {
        // Nobody said which there are.
        candidates = [Some(newest), oldest].into_iter().flatten().collect();
        candidates.dedup();
    }
    let (mut served, mut not_served) = (Vec::new(), Vec::new());
    for version in candidates {
        match answer_to(subject, &version.to_string()).await {
            Ok(answer) if answer == version => served.push(version),
            // With what it answers when there is nothing in common.
            Ok(answer) if Some(answer) == oldest => not_served.push(version),
            Ok(answer) => return fail(format!("{version} was offered alone, and it answers with {answer}")),
            Err(_) => not_served.push(version),
        }
    }
    match (served.is_empty(), not_served.is_empty()) {
        (true, _) => fail(format!("none of {} is served", listed(&not_served))),
        (false, true) => Ok(format!("{} served", listed(&served))),
        (false, false) => Ok(format!("{} served, {} not", listed(&served), listed(&not_served))),
    }
}

async fn no_overlap(subject: &Subject) -> Verdict {
    match announced(subject.start().versions(NEVER)).await {
        Ok(Announced { answer, .. }) if answer.version.to_string() == NEVER => fail(format!(
            "it claims to serve version {NEVER}, which nobody serves: it repeats what is offered"
        )),
        Ok(Announced { answer, .. }) => Ok(format!("it answers with {}", answer.version)),
        Err(_) => {
            let process = subject.start().versions(NEVER).spawn()?;
            match process.ended(subject.patience).await {
                Some(reason) if !reason.is_success() => {
                    Ok(format!("it ends with {reason}{}", quoted(&process.stderr(), "stderr")))
                }
                Some(reason) => fail(format!("it ends with {reason} and no line")),
                None => fail("it neither answers nor ends"),
            }
        }
    }
}

async fn answered_anyway(subject: &Subject) -> Verdict {
    let answer = answer_to(subject, NEVER).await?;
    Ok(format!("it answers with {answer}"))
}

async fn not_sent(subject: &Subject) -> Verdict {
    let announced = announced(subject.start().unset(variable::PROTOCOL_VERSIONS)).await?;
    Ok(format!("it answers with {}", announced.answer.version))
}

async fn unreadable(subject: &Subject) -> Verdict {
    let wanted = answer_to(subject, &subject.versions.to_string()).await?;
    if !subject.versions.contains(wanted) {
        return skip("the plugin serves none of the versions: see version-list");
    }
    let answer = answer_to(subject, &format!("x,{wanted}")).await?;
    if answer == wanted {
        Ok(format!("`x,{wanted}` gives {answer}"))
    } else {
        fail(format!("`x,{wanted}` gives {answer}"))
    }
}

async fn answer_to(subject: &Subject, list: &str) -> Verdict<AppVersion> {
    Ok(announced(subject.start().versions(list)).await?.answer.version)
}

fn listed(versions: &[AppVersion]) -> String {
    versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// A version that no plugin serves.
const NEVER: &str = "2147483000";

/// As many versions as are offered alone: more than these are a guess of this program, not a list of the user's.
const ALONE: usize = 8;

//! The life of a resource: validated, planned, applied, read, upgraded, imported.

use super::{
    Described, Diagnostic, Diagnostics, Served, apply_resource_change, find, import_resource_state, object,
    optional, plan_resource_change, read_resource, some, upgrade_resource_state, validate_config, validated,
    with_causes,
};
use crate::terraform_demo::diagnostics::Path;
use crate::terraform_demo::framework::{Change, Failed, Planned, Provider, Resource, Stored};
use crate::terraform_demo::value::{Object, RawObject, Value};

impl<P: Provider> Served<P> {
    pub(super) async fn validate_resource(
        &self,
        request: validate_config::Request,
    ) -> validate_config::Response {
        let diagnostics = match find(&self.resources, &request.type_name) {
            Ok(resource) => {
                validated(request.config.as_ref(), &resource.ty, |config| resource.part.validate(config))
            }
            Err(diagnostics) => diagnostics,
        };
        validate_config::Response { diagnostics: diagnostics.into_proto() }
    }

    pub(super) async fn upgrade(
        &self,
        request: upgrade_resource_state::Request,
    ) -> upgrade_resource_state::Response {
        let upgraded = find(&self.resources, &request.type_name)
            .and_then(|resource| upgraded(resource, request.version, request.raw_state));
        match upgraded {
            Ok(state) => {
                upgrade_resource_state::Response { upgraded_state: Some(some(state)), ..Default::default() }
            }
            Err(diagnostics) => upgrade_resource_state::Response {
                diagnostics: diagnostics.into_proto(),
                ..Default::default()
            },
        }
    }

    pub(super) async fn plan(
        &self,
        request: plan_resource_change::Request,
    ) -> plan_resource_change::Response {
        let plan = async {
            let resource = find(&self.resources, &request.type_name)?;
            let change = Change {
                prior: object(request.prior_state.as_ref(), &resource.ty)?,
                next: object(request.proposed_new_state.as_ref(), &resource.ty)?,
                private: request.prior_private,
            };
            resource.part.plan(change).await
        };
        match plan.await {
            Ok(Planned { state, requires_replace, private }) => plan_resource_change::Response {
                planned_state: Some(optional(state)),
                requires_replace: requires_replace.into_iter().map(Path::into_proto).collect(),
                planned_private: private,
                ..Default::default()
            },
            Err(diagnostics) => {
                plan_resource_change::Response { diagnostics: diagnostics.into_proto(), ..Default::default() }
            }
        }
    }

    pub(super) async fn apply(
        &self,
        request: apply_resource_change::Request,
    ) -> apply_resource_change::Response {
        let change = find(&self.resources, &request.type_name).and_then(|resource| {
            let change = Change {
                prior: object(request.prior_state.as_ref(), &resource.ty)?,
                next: object(request.planned_state.as_ref(), &resource.ty)?,
                private: request.planned_private,
            };
            Ok((resource, change))
        });
        let (resource, change) = match change {
            Ok(change) => change,
            // Nothing has been applied, so the state is the prior state.
            Err(diagnostics) => {
                return apply_resource_change::Response {
                    new_state: request.prior_state,
                    diagnostics: diagnostics.into_proto(),
                    ..Default::default()
                };
            }
        };
        let (Stored { state, private }, diagnostics) = match resource.part.apply(change).await {
            Ok(stored) => (stored, Diagnostics::default()),
            Err(Failed { diagnostics, left }) => (left, diagnostics),
        };
        apply_resource_change::Response {
            new_state: Some(optional(state)),
            private,
            diagnostics: diagnostics.into_proto(),
            ..Default::default()
        }
    }

    pub(super) async fn read(&self, request: read_resource::Request) -> read_resource::Response {
        let read = async {
            let resource = find(&self.resources, &request.type_name)?;
            let state = object(request.current_state.as_ref(), &resource.ty)?;
            resource.part.read(Stored { state, private: request.private }).await
        };
        match read.await {
            Ok(Stored { state, private }) => {
                read_resource::Response { new_state: Some(optional(state)), private, ..Default::default() }
            }
            Err(diagnostics) => {
                read_resource::Response { diagnostics: diagnostics.into_proto(), ..Default::default() }
            }
        }
    }

    pub(super) async fn import(
        &self,
        request: import_resource_state::Request,
    ) -> import_resource_state::Response {
        let import = async { find(&self.resources, &request.type_name)?.part.import(&request.id).await };
        match import.await {
            Ok(Stored { state, private }) => {
                let imported = import_resource_state::ImportedResource {
                    type_name: request.type_name,
                    state: Some(optional(state)),
                    private,
                };
                import_resource_state::Response { imported_resources: vec![imported], ..Default::default() }
            }
            Err(diagnostics) => import_resource_state::Response {
                diagnostics: diagnostics.into_proto(),
                ..Default::default()
            },
        }
    }
}

fn upgraded(
    resource: &Described<Box<dyn Resource>>,
    version: i64,
    stored: Option<super::pb::RawState>,
) -> Result<Object, Diagnostics> {
    let unreadable = |error: &dyn std::error::Error| {
        Diagnostics::from(Diagnostic::error("Stored state cannot be read").detail(with_causes(error)))
    };
    let json = stored.unwrap_or_default().json;
    let mut state: RawObject = serde_json::from_slice(&json).map_err(|error| unreadable(&error))?;
    resource.part.upgrade(version, &mut state);
    let json = serde_json::to_vec(&state).map_err(|error| unreadable(&error))?;
    match Value::from_json(&json, &resource.ty).map_err(|error| unreadable(&error))? {
        Value::Object(mut state) => {
            resource.schema.complete(&mut state);
            Ok(state)
        }
        _ => Err(Diagnostic::error("Stored state is not an object").into()),
    }
}

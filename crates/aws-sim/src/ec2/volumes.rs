//! `DescribeVolumes`.

use super::{Listed, Row, Spec, list, write_operator, write_tags};
use crate::{
    call::Call,
    error::ApiError,
    filter::Values,
    hash::shuffle,
    world::{Tags, Volume, VolumeAttachment},
};

const SPEC: Spec = Spec {
    ids: "VolumeId",
    prefix: Some("vol-"),
    malformed: "InvalidVolumeID.Malformed",
    not_found: "InvalidVolume.NotFound",
    unknown: ["The volume '{}' does not exist.", "The volumes '{}' do not exist."],
    filters: &[
        "attachment.attach-time",
        "attachment.delete-on-termination",
        "attachment.device",
        "attachment.instance-id",
        "attachment.status",
        "availability-zone",
        "create-time",
        "encrypted",
        "multi-attach-enabled",
        "operator.managed",
        "operator.principal",
        "size",
        "snapshot-id",
        "status",
        "tag-key",
        "tag:*",
        "volume-id",
        "volume-type",
    ],
    size: Some((5, 1000)),
    clamps: true,
    size_or_ids: true,
};

struct Disk<'a> {
    volume: &'a Volume,
}

pub(super) fn describe(call: &mut Call<'_>) -> Result<String, ApiError> {
    let with_hidden = call.params.take_bool("IncludeManagedResources")?.unwrap_or(false);
    let hides = call.account.managed_resources_hidden;
    let disks: Vec<Disk<'_>> = call
        .region
        .volumes
        .values()
        .filter(|volume| !hides || with_hidden || volume.operator.is_none())
        .map(|volume| Disk { volume })
        .collect();
    let Listed { rows, next } = list(call, &SPEC, disks)?;
    let (seed, nested) = (call.nested_seed(), call.nested_ids());
    Ok(call.ec2_answer(|xml| {
        xml.list("volumeSet", "item", rows.iter().enumerate(), |xml, (index, disk)| {
            let volume = disk.volume;
            let quirks = call.quirks(index);
            xml.optional("volumeId", Some(&volume.id).filter(|_| !quirks.no_id));
            xml.plain("size", volume.size);
            xml.text("snapshotId", volume.snapshot.as_deref().unwrap_or_default());
            xml.text("availabilityZone", &volume.zone);
            if !quirks.no_state {
                xml.text("status", disk.state());
            }
            xml.time("createTime", volume.created);
            let mut attachments: Vec<&VolumeAttachment> = volume.attachments.iter().collect();
            shuffle(seed, &mut attachments, |attachment| &attachment.instance);
            xml.list("attachmentSet", "item", attachments, |xml, attachment| {
                xml.text("volumeId", &volume.id);
                xml.optional("instanceId", nested.send(&attachment.instance));
                xml.text("device", &attachment.device);
                xml.text("status", "attached");
                xml.time("attachTime", attachment.attached);
                xml.plain("deleteOnTermination", attachment.delete_on_termination);
            });
            write_tags(xml, seed, &volume.tags);
            xml.text("volumeType", &volume.kind);
            xml.optional_plain("iops", volume.iops);
            xml.optional_plain("throughput", volume.throughput);
            xml.plain("encrypted", volume.encrypted);
            xml.optional("kmsKeyId", volume.kms_key.as_ref());
            xml.plain("multiAttachEnabled", volume.multi_attach);
            write_operator(xml, volume.operator.as_ref(), hides);
        });
        xml.optional("nextToken", next.as_ref());
    }))
}

impl<'a> Disk<'a> {
    fn state(&self) -> &'a str {
        self.volume.state.as_deref().unwrap_or(if self.volume.attachments.is_empty() { "available" } else { "in-use" })
    }
}

impl<'a> Row<'a> for Disk<'a> {
    fn key(&self) -> &str {
        &self.volume.id
    }

    fn tags(&self) -> &'a Tags {
        &self.volume.tags
    }

    fn values(&self, filter: &str) -> Values<'a> {
        let volume = self.volume;
        let one = |value: &'a str| vec![value.into()];
        let maybe = |value: Option<&'a str>| value.map(Into::into).into_iter().collect();
        let flag = |value: bool| if value { "true" } else { "false" };
        let attachments = || volume.attachments.iter();
        match filter {
            "attachment.attach-time" => attachments().map(|attachment| format!("{:.3}", attachment.attached).into()).collect(),
            "attachment.delete-on-termination" => attachments().map(|attachment| flag(attachment.delete_on_termination).into()).collect(),
            "attachment.device" => attachments().map(|attachment| attachment.device.as_str().into()).collect(),
            "attachment.instance-id" => attachments().map(|attachment| attachment.instance.as_str().into()).collect(),
            "attachment.status" => attachments().map(|_| "attached".into()).collect(),
            "availability-zone" => one(&volume.zone),
            "create-time" => vec![format!("{:.3}", volume.created).into()],
            "encrypted" => one(flag(volume.encrypted)),
            "multi-attach-enabled" => one(flag(volume.multi_attach)),
            "operator.managed" => one(flag(volume.operator.is_some())),
            "operator.principal" => maybe(volume.operator.as_ref().map(|operator| operator.principal.as_str())),
            "size" => vec![volume.size.to_string().into()],
            "snapshot-id" => maybe(volume.snapshot.as_deref()),
            "status" => one(self.state()),
            "volume-id" => one(&volume.id),
            "volume-type" => one(&volume.kind),
            _ => Vec::new(),
        }
    }
}

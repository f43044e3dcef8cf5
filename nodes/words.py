"""What people call statuses and records, in English and Chinese: on pages, on paper and in traces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ledger.proofs.statement import STATUS_WORDS
from ledger.registers.certificates.values import Status


class Words(NamedTuple):
    """One meaning in two languages."""

    en: str
    zh: str

    def both(self) -> str:
        """Return both, the Chinese first."""
        return f"{self.zh} {self.en}"


STATUSES: Mapping[Status, Words] = {
    status: Words(STATUS_WORDS[status].capitalize(), chinese)
    for status, chinese in {
        Status.VALID: "有效",
        Status.SUSPENDED: "暂扣",
        Status.WITHDRAWN: "撤销",
        Status.CANCELLED: "注销",
        Status.LAPSED: "失效（已被替换）",
        Status.REVOKED: "吊销",
        Status.EXPIRED: "已过期",
        Status.NOT_YET_VALID: "尚未生效",
    }.items()
}

_RECORDS: Mapping[str, Words] = {
    "members.carry_out_reorganisation": Words("Passed on", "职责划转"),
    "directories.publish_responsibility": Words("Responsibility published", "公布职责"),
    "directories.approve_responsibility": Words("Approval", "批准"),
    "directories.withdraw_responsibility": Words("Responsibility withdrawn", "撤回职责"),
    "certificates.define_type": Words("Type defined", "设立证照类型"),
    "certificates.retire_type": Words("Type retired", "停用证照类型"),
    "certificates.issue": Words("Issue", "颁发"),
    "certificates.change": Words("Change", "变更"),
    "certificates.suspend": Words("Suspension", "暂扣"),
    "certificates.lift": Words("Suspension lifted", "解除暂扣"),
    "certificates.revoke": Words("End", "终止"),
    "certificates.copy": Words("Copy drawn", "制作加注件"),
    "certificates.verify": Words("Verification recorded", "核验"),
    "sharing.request": Words("Data requested", "申请共享"),
    "sharing.deliver": Words("Data delivered", "提供数据"),
    "sharing.acknowledge": Words("Data received", "确认收到"),
}


def record_words(kind: str | None) -> Words:
    """Return what a kind of record is called; its tag where there is no word, and what nobody signed is a deadline."""
    if kind is None:
        return Words("Deadline passed", "期限届满")
    return _RECORDS.get(kind, Words(kind, kind))

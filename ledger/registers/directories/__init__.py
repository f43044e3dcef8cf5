"""The register of directories: who is responsible for what, and which data comes of it.

    responsibility  ->  data item  ->  table
                                        |
                                     (system)

Invariants:
- Each responsibility, data item, system and table has one owner, who alone publishes revisions of it, numbered 1, 2, 3.
  A reorganisation passes responsibilities on, and data items and tables follow (`ledger.registers.ownership`); a system
  whose owner has ended goes to the successor that publishes it next.
- A responsibility counts once the registrar has approved a revision of it, a data item once the directory authority
  has, and as long as it is not withdrawn. A newer revision that waits for approval takes nothing away and adds nothing:
  what the approved one said is kept beside it.
- A data item is published only under responsibilities of its owner that count; a table only for a data item of its
  owner that counts. What loses its ground or its owner later is not removed: `queries.orphans` lists it.
- A table's schema hash is that of its columns, and each column that names an information item names one that the data
  item had when the table was published.
- What was withdrawn stays withdrawn, and stays readable.
"""

from __future__ import annotations

from ledger.registers.catalogue import ApprovedMetadata, DataItem, Table
from ledger.registers.directories.records import (
    ApproveDataItem,
    ApproveResponsibility,
    PublishDataItem,
    PublishResponsibility,
    PublishSystem,
    PublishTable,
    WithdrawDataItem,
    WithdrawResponsibility,
    WithdrawTable,
)
from ledger.registers.directories.refusals import DirectoriesRefusal
from ledger.registers.directories.rules import (
    approve_data_item,
    approve_responsibility,
    publish_data_item,
    publish_responsibility,
    publish_system,
    publish_table,
    withdraw_data_item,
    withdraw_responsibility,
    withdraw_table,
)
from ledger.registers.directories.values import System
from ledger.registers.register import Register
from ledger.registers.shared import Responsibility

REGISTER = Register(
    name="directories",
    description="who is responsible for what, and which data items, systems and tables come of it",
    rules={
        PublishResponsibility: publish_responsibility,
        ApproveResponsibility: approve_responsibility,
        WithdrawResponsibility: withdraw_responsibility,
        PublishDataItem: publish_data_item,
        ApproveDataItem: approve_data_item,
        WithdrawDataItem: withdraw_data_item,
        PublishSystem: publish_system,
        PublishTable: publish_table,
        WithdrawTable: withdraw_table,
    },
    values=(Responsibility, DataItem, ApprovedMetadata, System, Table),
    codes=DirectoriesRefusal,
)

"""What a kind of job is: its words, and what it does."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from local.sagemaker.life import Life
    from local.sagemaker.run import Run


class Kind(ABC):
    """A kind of job: its words, and what it does."""

    noun: str  # TrainingJob
    resource: str  # training-job, as in its ARN
    quota: str  # training, as in the names of quotas
    log_group: str
    missing: str  # what Describe says of a name that is not there
    taken: str  # what Create says of a name that is
    order: str  # the default order of its List

    @abstractmethod
    def accept(self, request: dict[str, Any]) -> dict[str, Any]:
        """Check what botocore's model cannot say, and return fields of the record beyond the request's own."""

    @abstractmethod
    def role(self, record: dict[str, Any]) -> str:
        """The role that the job reads and writes with."""

    @abstractmethod
    def instances(self, record: dict[str, Any]) -> tuple[str, int]:
        """Instance type and count."""

    @abstractmethod
    def container(self, record: dict[str, Any]) -> tuple[str, dict[str, str]]:
        """URI of the image, and the texts that the caller hands to what runs in it."""

    @abstractmethod
    def work(self, run: "Run") -> None:
        """Do the job.

        Raises:
            JobFailure, Stopped: how it ended when it did not complete.
        """

    def use(self, record: dict[str, Any]) -> str:
        """What the job uses its instances for, as in the names of quotas: `<type> for <use> usage`."""
        return f"{self.quota} job"

    def reuses(self, record: dict[str, Any]) -> bool:
        """Whether the job may run on the instances of a warm pool."""
        return False

    def keeps(self, record: dict[str, Any]) -> bool:
        """Whether the job asks to leave its instances to a warm pool."""
        return False

    def phase(self, record: dict[str, Any], secondary: str, at: float, message: str = "") -> dict[str, Any]:
        """Fields that say which part of its life the job is in; nothing for kinds without secondary status."""
        return {}

    def ending(self, life: "Life", record: dict[str, Any], status: str, at: float) -> dict[str, Any]:
        """Further fields of a job that has ended, beside status, reason and end time."""
        return {}

    @property
    def verb(self) -> str:
        """Training, as in TrainingStartTime."""
        return self.noun.removesuffix("Job")

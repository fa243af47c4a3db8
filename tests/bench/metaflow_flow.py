"""The graph of the packaging run as a Metaflow flow whose steps do nothing. Run by the metaflow environment."""

from metaflow import FlowSpec, step

WAVES = [["mailer", "bag", "box"], ["own_container"]]


class PackagingFlow(FlowSpec):
    """start → unload → (prepare → train → predict → evaluate → compare → register) per model → own_container → report."""

    @step
    def start(self):
        self.next(self.unload)

    @step
    def unload(self):
        self.models = WAVES[0]
        self.next(self.prepare, foreach="models")

    @step
    def prepare(self):
        self.model = self.input
        self.next(self.train)

    @step
    def train(self):
        self.next(self.predict)

    @step
    def predict(self):
        self.next(self.evaluate)

    @step
    def evaluate(self):
        self.next(self.compare)

    @step
    def compare(self):
        self.next(self.register)

    @step
    def register(self):
        self.next(self.wave)

    @step
    def wave(self, inputs):
        self.next(self.prepare_own)

    @step
    def prepare_own(self):
        self.next(self.train_own)

    @step
    def train_own(self):
        self.next(self.predict_own)

    @step
    def predict_own(self):
        self.next(self.evaluate_own)

    @step
    def evaluate_own(self):
        self.next(self.compare_own)

    @step
    def compare_own(self):
        self.next(self.register_own)

    @step
    def register_own(self):
        self.next(self.report)

    @step
    def report(self):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    PackagingFlow()

// Hosts over real Kestrel beside each other on two cores starve each other: a run takes no less time, and much more memory.
[assembly: CollectionBehavior(DisableTestParallelization = true)]

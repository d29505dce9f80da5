// Hosts over real Kestrel share two cores here: beside each other they starve each other's timers and memory, and a run takes no less time.
[assembly: CollectionBehavior(DisableTestParallelization = true)]

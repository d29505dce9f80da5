using Serverless.Catalog.Accelerators;

namespace Serverless.Hosting.Accelerators;

/// <summary>Accelerators of one kind that this machine has.</summary>
/// <param name="Class">Their class; null: none that is known.</param>
/// <param name="Device">What they call themselves.</param>
/// <param name="Count">How many; of a CPU, its cores.</param>
/// <param name="MemoryMiB">Memory of one, of a CPU what this process may use; null: it was not told.</param>
public sealed record FoundAccelerator(Accelerator? Class, string Device, int Count, long? MemoryMiB);

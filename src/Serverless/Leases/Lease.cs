namespace Serverless.Leases;

/// <summary>A right that one holder has until it is released or runs out.</summary>
/// <param name="Name">What it is a right to; see <see cref="LeaseNames"/>.</param>
/// <param name="Holder">Who has it: an address others can use.</param>
/// <param name="Epoch">Higher than that of every earlier lease of this name: max(last + 1, the store's time in ms).</param>
public sealed record Lease(string Name, string Holder, long Epoch);

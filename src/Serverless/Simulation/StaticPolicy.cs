namespace Serverless.Simulation;

/// <summary>So many replicas all the time: what hindsight alone would provision, for reference.</summary>
internal sealed class StaticPolicy(int replicas) : IReplayPolicy
{
    public string Name => FormattableString.Invariant($"static {replicas}");

    public double Interval => 3600;

    public bool Pushed => false;

    public int Decide(in PolicyView view) => replicas;
}

namespace Serverless.Simulation;

/// <summary>A way to scale one pool, with the habits of the machinery it runs in. Made anew for each replay: it may remember.</summary>
public interface IReplayPolicy
{
    /// <summary>Its name and setting.</summary>
    string Name { get; }

    /// <summary>Seconds between two looks.</summary>
    double Interval { get; }

    /// <summary>Whether it is also asked when work comes to a pool of zero replicas (a push) rather than at the next look only.</summary>
    bool Pushed { get; }

    /// <summary>Replicas to ask for now.</summary>
    int Decide(in PolicyView view);
}

namespace Serverless.Scaler.Keda;

/// <summary>The names under which grpc.health.v1 is asked.</summary>
internal static class ScalerHealth
{
    /// <summary>Whether the plan is fresh: for alarms.</summary>
    public const string Fresh = "";

    /// <summary>Whether there is a plan to answer with: for readiness. Were the age decisive there, a lost store would take every scaler out of service, and KEDA with errors does worse than with the last plan.</summary>
    public const string Answers = "answers";

    /// <summary>Whether the process answers at all: for liveness.</summary>
    public const string Live = "live";
}

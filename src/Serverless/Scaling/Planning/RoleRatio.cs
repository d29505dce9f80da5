namespace Serverless.Scaling.Planning;

/// <summary>Prefill and decode replicas in a bounded ratio: a flood of one kind must not leave the other unable to pass the work on.</summary>
internal static class RoleRatio
{
    /// <summary>The two raised (never lowered) until the ratio holds; a role that needs none stays as it is.</summary>
    public static (int Prefill, int Decode) Clamp(int prefill, int decode, (double Least, double Most) perDecode)
    {
        if (prefill <= 0 || decode <= 0) return (prefill, decode);

        prefill = Math.Max(prefill, PlannerWork.Ceiling(decode * perDecode.Least));
        return (prefill, Math.Max(decode, PlannerWork.Ceiling(prefill / perDecode.Most)));
    }
}

using System.Globalization;

namespace Serverless.Scaling.Planning;

/// <summary>Reasons are read by people everywhere: one format.</summary>
internal static class PlannerText
{
    public static string Of(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}

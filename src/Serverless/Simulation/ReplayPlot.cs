using System.Globalization;
using System.Net;
using System.Text;

namespace Serverless.Simulation;

/// <summary>A replay as an SVG: what arrives (filled), replicas asked for (stepped line) and ready (dashed).</summary>
public static class ReplayPlot
{
    private const double Width = 960;
    private const double PanelHeight = 150;
    private const double Left = 56;
    private const double Right = 56;
    private const double Top = 30;
    private const double Gap = 44;

    /// <summary>One panel per result, all on the same seconds.</summary>
    public static string Draw(IReadOnlyList<ReplayResult> results)
    {
        ArgumentNullException.ThrowIfNull(results);
        var seconds = results.SelectMany(result => result.Course).Select(point => point.At).DefaultIfEmpty(1).Max();
        var height = Top + (results.Count * (PanelHeight + Gap));
        var svg = new StringBuilder();
        svg.Append(CultureInfo.InvariantCulture, $"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {Width} {height}" width="{Width}" height="{height}" font-family="sans-serif" font-size="11">""").Append('\n');
        svg.Append("""<rect width="100%" height="100%" fill="white"/>""").Append('\n');
        for (var i = 0; i < results.Count; i++) Panel(svg, results[i], Top + (i * (PanelHeight + Gap)), seconds);
        return svg.Append("</svg>\n").ToString();
    }

    private static void Panel(StringBuilder svg, ReplayResult result, double top, double seconds)
    {
        var most = result.Course.Select(point => (double)Math.Max(point.Desired, point.Ready)).DefaultIfEmpty(1).Max();
        var load = Math.Max(1, result.Course.Select(point => point.Arrivals).DefaultIfEmpty(1).Max());
        most = Math.Max(1, most);
        var title = string.Create(CultureInfo.InvariantCulture, $"{result.Trace}, {result.Policy}: {result.GpuHours:F2} GPU-hours, {result.Attainment:P1} of first tokens in time, {result.ScaleEvents} scale events");

        svg.Append(CultureInfo.InvariantCulture, $"""<text x="{Left}" y="{top - 8}" font-weight="bold">{WebUtility.HtmlEncode(title)}</text>""").Append('\n');
        svg.Append(CultureInfo.InvariantCulture, $"""<polygon fill="#dbe7f3" points="{Points(result, top, seconds, point => point.Arrivals / load, stepped: false)} {X(result.Course.Count == 0 ? 0 : result.Course[^1].At, seconds):F1},{top + PanelHeight:F1} {Left:F1},{top + PanelHeight:F1}"/>""").Append('\n');
        svg.Append(CultureInfo.InvariantCulture, $"""<polyline fill="none" stroke="#999" stroke-dasharray="3 2" points="{Points(result, top, seconds, point => point.Ready / most, stepped: true)}"/>""").Append('\n');
        svg.Append(CultureInfo.InvariantCulture, $"""<polyline fill="none" stroke="#c0392b" stroke-width="1.5" points="{Points(result, top, seconds, point => point.Desired / most, stepped: true)}"/>""").Append('\n');
        svg.Append(CultureInfo.InvariantCulture, $"""<path fill="none" stroke="#333" d="M{Left} {top}V{top + PanelHeight}H{Width - Right}V{top}"/>""").Append('\n');
        svg.Append(CultureInfo.InvariantCulture, $"""<text x="{Left - 6}" y="{top + 10}" text-anchor="end">{most:F0}</text><text x="{Left - 6}" y="{top + PanelHeight}" text-anchor="end">0</text>""");
        svg.Append(CultureInfo.InvariantCulture, $"""<text x="{Left - 6}" y="{top + (PanelHeight / 2)}" text-anchor="end">replicas</text>""");
        svg.Append(CultureInfo.InvariantCulture, $"""<text x="{Width - Right + 6}" y="{top + 10}">{load:N0}</text><text x="{Width - Right + 6}" y="{top + (PanelHeight / 2)}">tokens/s</text>""").Append('\n');
        for (var minutes = 0; minutes * 60 <= seconds; minutes += 10)
        {
            svg.Append(CultureInfo.InvariantCulture, $"""<text x="{X(minutes * 60, seconds):F1}" y="{top + PanelHeight + 14}" text-anchor="middle">{minutes} min</text>""");
        }

        svg.Append('\n');
    }

    private static string Points(ReplayResult result, double top, double seconds, Func<ReplayPoint, double> share, bool stepped)
    {
        var points = new StringBuilder();
        double? before = null;
        foreach (var point in result.Course)
        {
            var (x, y) = (X(point.At, seconds), top + (PanelHeight * (1 - Math.Clamp(share(point), 0, 1))));
            if (stepped && before is { } level && Math.Abs(level - y) > 0.01) points.Append(CultureInfo.InvariantCulture, $"{x:F1},{level:F1} ");
            points.Append(CultureInfo.InvariantCulture, $"{x:F1},{y:F1} ");
            before = y;
        }

        return points.ToString().TrimEnd();
    }

    private static double X(double at, double seconds) => Left + (at / seconds * (Width - Left - Right));
}

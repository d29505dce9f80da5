using System.Globalization;

namespace Serverless.Catalog.Recipes;

/// <summary>A container as lines for people; its command line as a shell takes it.</summary>
public static class ContainerText
{
    /// <summary>The lines: what is empty is left out.</summary>
    public static IEnumerable<string> Lines(Container container)
    {
        ArgumentNullException.ThrowIfNull(container);
        yield return $"recipe     {container.Recipe} ({string.Join(", ", container.Configs)})";
        yield return $"image      {container.Image}";
        yield return $"command    {Line([.. container.Command, .. container.Args])}";
        if (container.Hosts > 1) yield return string.Create(CultureInfo.InvariantCulture, $"workers    {container.Hosts - 1} more: {Line([.. container.Command, .. container.WorkerArgs])}");
        foreach (var env in container.Envs) yield return $"env        {env.Name}={(env.From is { } from ? from : Quoted(env.Value ?? ""))}";
        if (container.Resources.Requests.Count > 0) yield return $"requests   {Pairs(container.Resources.Requests)}";
        if (container.Resources.Limits.Count > 0) yield return $"limits     {Pairs(container.Resources.Limits)}";
        if (container.SharedMemorySize is { } size) yield return $"/dev/shm   {size}";
        if (container.NodeSelector.Count > 0) yield return $"nodes      {Pairs(container.NodeSelector)}";
        yield return string.Create(CultureInfo.InvariantCulture, $"port       {container.Port}");
        foreach (var (name, hook) in container.Hooks.OrderBy(hook => hook.Key, StringComparer.Ordinal)) yield return $"{name,-10} {hook}";
    }

    private static string Line(IEnumerable<string> words) => string.Join(' ', words.Select(Quoted));

    private static string Quoted(string word) => word.Length > 0 && word.All(c => char.IsAsciiLetterOrDigit(c) || "-_./:=,+@%".Contains(c, StringComparison.Ordinal)) ? word : $"'{word.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    private static string Pairs(IReadOnlyDictionary<string, string> pairs) => string.Join(", ", pairs.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Key}={pair.Value}"));
}
